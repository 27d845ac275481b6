import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { everyModuleWorks, item, running, withoutSamples } from '../helpers/deployed-edge.ts';
import { makeStateDir, startEdge } from '../helpers/edge-process.ts';
import { startKafka } from '../helpers/kafka.ts';
import { operatorClient } from '../helpers/operator.ts';
import { eventually } from '../helpers/site.ts';

test('RD-23: data, consumer groups and offsets survive a restart of everything, a killed Redis included', async (t) => {
  const stateDir = makeStateDir(t);
  const first = await startEdge(t, { stateDir });
  await everyModuleWorks(t, first);
  const stream = 'drill:stream';
  const before = operatorClient(t, stateDir);
  await before.xadd(stream, '1-1', 'n', '1');
  const groupsOf = async (redis: typeof before): Promise<string> =>
    JSON.stringify(await redis.call('XINFO', 'GROUPS', stream).catch(() => []));
  await eventually(
    () => groupsOf(before),
    (text) => text.includes('"last-delivered-id","1-1"') && text.includes('"pending",0'),
    30_000,
  );
  const own = await before.keys('iotedge-redis:*');
  // The append-only file goes to disk once a second; then the worst that can happen short of the disk.
  await eventually(
    async () => String(await before.call('INFO', 'persistence')),
    (text) => text.includes('aof_pending_bio_fsync:0'),
  );
  await new Promise((resolve) => setTimeout(resolve, 1200));
  process.kill(await first.pidOf('redis'), 'SIGKILL');
  await first.interrupt();

  const second = await startEdge(t, { stateDir });
  const after = operatorClient(t, stateDir);
  await eventually(
    () => item(second, 'ping'),
    (value) => value === 'pong',
    30_000,
  );
  assert.equal(await item(second, 'key2'), 'value2');
  // Modules that work again may have written further ones.
  const kept = new Set(await after.keys('iotedge-redis:*'));
  assert.deepEqual(
    own.filter((key) => !kept.has(key)),
    [],
  );
  assert.match(await groupsOf(after), /"last-delivered-id","1-1"/);
  await after.xadd(stream, '2-1', 'n', '2');
  const groups = await eventually(
    () => groupsOf(after),
    (text) => text.includes('"last-delivered-id","2-1"') && text.includes('"pending",0'),
    30_000,
  );
  // Read by the group that was there before, one entry each time: nothing was delivered twice.
  assert.match(groups, /"entries-read",2/);
});

test('RD-23: positions in Kafka survive a restart of everything: no record is taken twice, none is left out', async (t) => {
  const stateDir = makeStateDir(t);
  const kafka = await startKafka(t);
  await kafka.createTopic('drill', 1);
  await kafka.produce(
    'drill',
    ['1', '2', '3'].map((n) => ({ key: `drill:${n}`, value: `{"n":${n}}` })),
  );
  const flags = withoutSamples;
  const first = await startEdge(t, { stateDir, flags });
  const desired = JSON.stringify({ brokers: [kafka.address], topics: ['drill'] });
  await first.ok('module-twin', 'update', '-m', 'kafka-ingest', '--desired', desired);
  await eventually(
    () => item(first, 'drill:3'),
    (value) => String(value).includes('"n"'),
    60_000,
  );
  // Whoever takes the records from the start again would write it anew.
  await first.invoke('redis-client', 'DeleteItem', 'drill:1');
  const position = async (): Promise<unknown> => {
    const operator = operatorClient(t, stateDir);
    const keys = await operator.keys('iotedge-redis:kafka-ingest:*:drill:0');
    // The other one says which cluster the partition was read from.
    return operator.hget(keys.find((key) => !key.includes(':cluster:')) ?? '', 'next');
  };
  assert.equal(await position(), '3');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  process.kill(await first.pidOf('redis'), 'SIGKILL');
  await first.interrupt();

  const second = await startEdge(t, { stateDir, flags });
  await kafka.produce('drill', [{ key: 'drill:4', value: '{"n":4}' }]);
  await eventually(
    () => item(second, 'drill:4'),
    (value) => String(value).includes('"n"'),
    60_000,
  );
  assert.equal(await position(), '4');
  assert.equal(await item(second, 'drill:1'), 'No value available in Redis');
});

test('RD-13: Redis does not start empty where data were; what was restored, or nothing on purpose, is taken', async (t) => {
  const stateDir = makeStateDir(t);
  const first = await startEdge(t, { stateDir });
  await first.invoke('redis-client', 'SetItem', 'before:the loss');
  await first.interrupt();
  const data = join(stateDir, 'volumes', 'redis-data');
  rmSync(join(data, 'appendonlydir'), { recursive: true });
  const second = await startEdge(t, { stateDir });
  const log = await eventually(
    () => second.ok('logs', 'redis'),
    (text) => text.includes('are gone'),
  );
  assert.match(log, /restore .*appendonlydir, or remove .*\.started to begin with nothing/);
  assert(!(await running(second)).includes('redis'));
  rmSync(join(data, '.started'));
  await eventually(
    () => second.invoke('redis-client', 'SetItem', 'after:the loss').then(JSON.stringify, String),
    (reply) => reply.includes('Written:True'),
    60_000,
  );
});
