import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Cluster, Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startCluster } from '../helpers/redis-cluster.ts';
import { startSync } from '../helpers/sync-bed.ts';

let azurite: TestAzurite;
before(async () => {
  azurite = await startAzurite();
});
after(() => azurite.stop());

const connect = (t: TestContext, port: number): Cluster => {
  const client = new Cluster([{ host: '127.0.0.1', port }]);
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return client;
};

test('a Redis Cluster gets every row on the node of its slot, of each type, and the last row of a key wins', async (t) => {
  const nodes = await startCluster(t);
  const client = connect(t, nodes[0].port);
  const rows = Array.from({ length: 3000 }, (_, index) => `k${index},v${index},,,`);
  const header = 'key,value,ttl,type,op';
  const last = [
    'h,"{""x"":1}",,hash,',
    't,60s,60,,',
    'k0,again,,,',
    'k1,,,,del',
    'k2,first,,,',
    'k2,second,,,',
  ];
  await azurite.upload('cluster.csv', [header, ...rows, ...last].join('\n'));
  const bed = await startSync(t, {
    azurite,
    redis: nodes[0],
    blob: 'cluster.csv',
    settings: { redisMode: 'cluster' },
  });
  const status = await bed.until('done', 60_000);
  assert.partialDeepStrictEqual(status, { rows: 3006, written: 3005, deleted: 1, skipped: 0 });
  const values = await Promise.all(rows.map((_, index) => client.get(`k${index}`)));
  const expected = rows.map(
    (_, index) => [`again`, null, 'second'][index] ?? (index < 3 ? null : `v${index}`),
  );
  assert.deepEqual(values, expected);
  assert.deepEqual(await client.hgetall('h'), { x: '1' });
  assert.equal(await client.pexpiretime('t'), Date.parse(status['startedAt'] as string) + 60_000);
  for (const { port } of nodes) {
    const node = new Redis({ port });
    const keys = await node.dbsize();
    node.disconnect();
    assert.ok(keys > 1000, `${keys} keys on one of two nodes`);
  }
});

test('a Redis Cluster that loses a node is waited for, and the import goes on where it was', async (t) => {
  const nodes = await startCluster(t);
  const client = connect(t, nodes[0].port);
  const count = 5000;
  await azurite.upload(
    'node.csv',
    Array.from({ length: count }, (_, index) => `k${index}:v${index}\n`).join(''),
  );
  const bed = await startSync(t, {
    azurite,
    redis: nodes[0],
    blob: 'node.csv',
    settings: { redisMode: 'cluster', batchRows: 100, maxRowsPerSecond: 2000 },
  });
  await bed.until(({ written }) => Number(written) >= 300, 60_000);
  await nodes[1].kill('SIGKILL');
  const waiting = await bed.until('waiting', 60_000);
  assert.match(waiting['code'] as string, /^REDIS_/);
  await nodes[1].restart();
  bed.applyLive({ maxRowsPerSecond: 0 });
  const status = await bed.until('done', 60_000);
  assert.equal(status['written'], count);
  // The node came back without the rows that it had; what was written after that is there.
  assert.equal(await client.get(`k${count - 1}`), `v${count - 1}`);
});
