import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

let azurite: TestAzurite;
let redis: TestRedis;
let client: Redis;

before(async () => {
  [azurite, redis] = await Promise.all([startAzurite(), startRedis(undefined)]);
  client = new Redis(redis.port, '127.0.0.1');
});
after(async () => {
  client.disconnect();
  await Promise.all([azurite.stop(), redis.stop()]);
});

const rows = (count: number): string => Array.from({ length: count }, (_, at) => `k${at}:v${at}\n`).join('');

test('RS-38 maxRowsPerSecond holds the import to that many rows a second', async (t) => {
  await client.flushall();
  await azurite.upload('paced.csv', rows(3000));
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'paced.csv',
    settings: { batchRows: 100, maxRowsPerSecond: 2000 },
  });
  const { written, durationMs } = await bed.until('done');
  assert.equal(written, 3000);
  assert.ok(Number(durationMs) >= 1300, `${Number(durationMs)} ms`);
});

test('RS-30 progress is reported now and then, not with every batch, and the end at once', async (t) => {
  await client.flushall();
  await azurite.upload('reported.csv', rows(20_000));
  const bed = await startSync(t, { azurite, redis, blob: 'reported.csv', settings: { batchRows: 10 } });
  await bed.until('done');
  const states = bed.reports.map(({ state }) => state);
  assert.ok(states.length < 12, JSON.stringify(states));
  assert.ok(states.includes('running'));
  assert.partialDeepStrictEqual(bed.reports.at(-1), { state: 'done', written: 20_000 });
});

test('RS-25 RS-26 changes of how fast or how long it may take import nothing', async (t) => {
  await client.flushall();
  await azurite.upload('settled.csv', rows(3));
  const bed = await startSync(t, { azurite, redis, blob: 'settled.csv' });
  await bed.until('done');
  await client.set('k0', 'by hand');
  bed.applyLive({ maxRowsPerSecond: 10, maxMemoryPercent: 90, pollIntervalSeconds: 1 });
  // The poll looks at the blob and finds the version that is there.
  await bed.until(() => bed.reports.filter(({ state }) => state === 'checking').length >= 2);
  await bed.until('done');
  assert.equal(await client.get('k0'), 'by hand');
  assert.equal(bed.lines.filter((line) => line.includes('import starts')).length, 1);
});

test('a setting gives the type: a hash of a column per field, a hash of a JSON object, or JSON', async (t) => {
  const types = [
    ['hash', 'key,name,unit\np1,"pump ""one""",bar\np2,,\n', { name: 'pump "one"', unit: 'bar' }, []],
    [
      'hash',
      'key;value\np1;"{""name"":""pump"",""on"":true,""gone"":null}"\np2;[1]\n',
      { name: 'pump', on: 'true' },
      [3],
    ],
    ['json', 'p1:{"x": [1, 2]}\np2:{x}\n', '{"x": [1, 2]}', [2]],
  ] as const;
  for (const [valueType, content, expected, badLines] of types) {
    await client.flushall();
    await azurite.upload('typed.csv', content);
    const csvDelimiter = content.startsWith('p1:') ? 'colon' : 'auto';
    const bed = await startSync(t, {
      azurite,
      redis,
      blob: 'typed.csv',
      settings: { valueType, csvDelimiter },
    });
    const { errors } = await bed.until('done');
    await bed.stop();
    assert.deepEqual(valueType === 'hash' ? await client.hgetall('p1') : await client.get('p1'), expected);
    assert.deepEqual(
      (errors as { row: number }[]).map(({ row }) => row),
      badLines,
    );
  }
});

test('RS-9 RS-40 quoted and plain rows, both line ends and doubled quotes come out as they are meant', async (t) => {
  await client.flushall();
  const content = 'key,value\r\n"a","1"\r\nb,"say ""hi"", and\ngo"\n\n"c,d",\r\n"e",""\nf,plain';
  await azurite.upload('mixed.csv', content);
  const bed = await startSync(t, { azurite, redis, blob: 'mixed.csv' });
  assert.partialDeepStrictEqual(await bed.until('done'), {
    rows: 5,
    written: 5,
    delimiter: 'comma',
    header: true,
  });
  assert.deepEqual(await client.mget('a', 'b', 'c,d', 'e', 'f'), ['1', 'say "hi", and\ngo', '', '', 'plain']);
});
