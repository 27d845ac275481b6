import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis } from './redis.ts';
import type { TestRedis } from './redis.ts';

/** A Redis Cluster of two primaries, each with half of the slots; it ends with the test. */
export async function startCluster(t: TestContext): Promise<readonly [TestRedis, TestRedis]> {
  const args = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
  const nodes = [await startRedis(t, { args }), await startRedis(t, { args })] as const;
  const admins = nodes.map(({ port }) => new Redis({ port }));
  const [first, second] = nodes;
  const slots = [
    [0, 8191],
    [8192, 16_383],
  ] as const;
  for (const [index, admin] of admins.entries()) {
    const [from = 0, to = 0] = slots[index] ?? [];
    await admin.call('CLUSTER', ['ADDSLOTSRANGE', from, to]);
    await admin.call('CLUSTER', ['SET-CONFIG-EPOCH', index + 1]);
  }
  await admins[0]?.call('CLUSTER', ['MEET', '127.0.0.1', second.port]);
  for (const admin of admins) {
    const deadline = Date.now() + 60_000;
    while (!(await isWhole(admin))) {
      if (Date.now() > deadline) throw new Error('the nodes do not become one cluster');
      await sleep(50);
    }
    admin.disconnect();
  }
  return [first, second];
}

async function isWhole(admin: Redis): Promise<boolean> {
  const info = String(await admin.call('CLUSTER', ['INFO']));
  return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:2');
}
