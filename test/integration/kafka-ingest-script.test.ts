import { deepEqual, equal, ok } from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { applyScript } from '../../modules/kafka-ingest/src/apply/apply-script.ts';
import { KEEPS_ALL } from '../helpers/ingest-bed.ts';
import { startRedis } from '../helpers/redis.ts';

const KEYS = ['position', 'changes:t:0', 'dlq:kafka-ingest', 'position'];
const { lua } = applyScript({
  payload: 'none',
  suppressUnchanged: false,
  hasChannel: false,
  hasIndex: false,
  hasChanges: false,
});

const stored = (offset: string): string[] => ['h', offset, `key:${offset}`, '2', 'a', offset];
const faulty = (offset: string): string[] => ['f', offset, '', '2', 'offset', offset];

for (const command of ['set', 'del', 'type', 'hget', 'hset', 'xlen', 'xadd']) {
  test(`KI-2 KI-13: a user who may not call ${command} loses no record: the position never passes what was not applied`, async (t) => {
    const redis = await startRedis(t);
    const owner = new Redis({ port: redis.port, host: '127.0.0.1' });
    t.after(() => owner.disconnect());
    await owner.hset('position', 'next', '0');
    await owner.call('ACL', ['SETUSER', 'weak', 'on', '>x', '~*', '&*', '+@all', `-${command}`]);
    const weak = new Redis({ port: redis.port, host: '127.0.0.1', username: 'weak', password: 'x' });
    t.after(() => weak.disconnect());
    const records = [...stored('0'), ...faulty('1'), 's', '2', 'key:2', 'x', 'd', '3', 'key:gone'];
    const run = (client: Redis): Promise<unknown> =>
      client.eval(lua, KEYS.length, ...KEYS, '0', '10', '100', ...records, '4', '1700');
    const reply = await run(weak).catch((error: unknown) => error);
    const next = Number(await owner.hget('position', 'next'));
    const refused = Array.isArray(reply) && reply[0] === 2 ? Number(reply[4]) : 0;
    equal(next, refused, String(reply));
    if (next > 0) deepEqual(await owner.hgetall('key:0'), { a: '0' });
    if (next > 1) equal(await owner.xlen('dlq:kafka-ingest'), 1);
  });
}

test('KI-14: a call ends before the dead letter that there is no room for, those of the same call counted in', async (t) => {
  const redis = await startRedis(t);
  const owner = new Redis({ port: redis.port, host: '127.0.0.1' });
  t.after(() => owner.disconnect());
  await owner.hset('position', 'next', '0');
  await owner.xadd('dlq:kafka-ingest', '*', 'offset', '-1');
  const records = [...faulty('0'), ...stored('1'), ...faulty('2'), ...stored('3')];
  const reply = await owner.eval(lua, KEYS.length, ...KEYS, '0', '10', '2', ...records, '4', '1700');
  deepEqual(reply, [4, 0, 1, 2, '2', '']);
  equal(await owner.hget('position', 'next'), '2');
  equal(await owner.xlen('dlq:kafka-ingest'), 2);
  deepEqual([await owner.exists('key:1'), await owner.exists('key:3')], [1, 0]);
});

test('KI-27: a change stream keeps about as many entries as it is told to', async (t) => {
  const redis = await startRedis(t);
  const owner = new Redis({ port: redis.port, host: '127.0.0.1' });
  t.after(() => owner.disconnect());
  const changing = applyScript({
    payload: 'none',
    suppressUnchanged: false,
    hasChannel: false,
    hasIndex: false,
    hasChanges: true,
  });
  await owner.hset('position', 'next', '0');
  for (let from = 0; from < 5000; from += 250) {
    const records = Array.from({ length: 250 }, (_, n) => stored(String(from + n))).flat();
    const last = [String(from + 250), '1700'];
    deepEqual(
      await owner.eval(changing.lua, KEYS.length, ...KEYS, String(from), '1000', '100', ...records, ...last),
      [1, 0, 0],
    );
  }
  const length = await owner.xlen('changes:t:0');
  ok(length >= 1000 && length < 1200, String(length));
  equal((await owner.xrevrange('changes:t:0', '+', '-', 'COUNT', 1))[0]?.[0], '4999-1');
});

test('KI-3: what two power cuts in a row leave of a step never has the position ahead of its records', async (t) => {
  const redis = await startRedis(t, { args: KEEPS_ALL });
  const client = new Redis({ port: redis.port, host: '127.0.0.1', retryStrategy: () => 50 });
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  const step = (position: string, offset: string): Promise<unknown> =>
    client.eval(
      lua,
      KEYS.length,
      position,
      ...KEYS.slice(1),
      '0',
      '10',
      '100',
      ...['h', offset, `key:${position}`, '2', 'a', offset],
      '1',
      '1700',
    );
  for (const position of ['first', 'second']) await client.hset(position, 'next', '0');
  const file = join(redis.dir, 'appendonlydir', 'appendonly.aof.1.incr.aof');
  const isParted = existsSync(file);
  const log = isParted ? file : join(redis.dir, 'appendonly.aof');
  const before = statSync(log).size;
  await step('first', '0');
  const step1 = readFileSync(log).subarray(before);
  await redis.kill('SIGKILL');
  // The file ends in the middle of a command, somewhere behind the first one of the transaction.
  const commands = [...step1.toString('latin1').matchAll(/\*\d+\r\n/g)].map(({ index }) => index);
  const cuts = commands.slice(2).map((at) => before + at + 3);
  ok(cuts.length >= 2, 'there are commands to cut');
  for (const cut of cuts) {
    const whole = Buffer.concat([readFileSync(log).subarray(0, before), step1]);
    writeFileSync(log, whole.subarray(0, cut));
    await redis.restart();
    await client.hset('second', 'next', '0');
    await step('second', '0');
    await redis.kill('SIGKILL');
    await redis.restart();
    const [next, stored] = [await client.hget('first', 'next'), await client.hgetall('key:first')];
    if (next === '1') deepEqual(stored, { a: '0' }, `cut at ${cut}`);
    await redis.kill('SIGKILL');
  }
});
