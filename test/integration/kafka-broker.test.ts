import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { runs } from '../helpers/edge-process.ts';
import { startKafka } from '../helpers/kafka.ts';
import { eventually } from '../helpers/site.ts';
import { treeOf, listeningSockets } from '../helpers/process-tree.ts';

test('Apache Kafka takes records, keeps them over a SIGKILL, and listens on loopback only', async (t) => {
  const kafka = await startKafka(t, { isProxied: true });
  await kafka.createTopic('kept', 3);
  await kafka.produce('kept', [
    { key: 'a', value: 'one', partition: 0 },
    { key: 'b', value: null, partition: 2 },
  ]);
  assert.deepEqual(await kafka.ends('kept'), [1, 0, 1]);
  assert.deepEqual(await kafka.committed('nobody', 'kept'), [-1, -1, -1]);
  const sockets = listeningSockets(treeOf(kafka.pid));
  assert(sockets.length >= 3);
  assert.deepEqual(
    sockets.filter((one) => !one.loopback),
    [],
  );
  await kafka.kill('SIGKILL');
  await kafka.restart();
  assert.deepEqual(await kafka.ends('kept'), [1, 0, 1]);
});

test('a broker does not outlive the process that started it, however that ends', async (t) => {
  const owner = spawn(
    process.execPath,
    ['--conditions=source', join(import.meta.dirname, '../helpers/kafka-owner.ts')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => owner.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
  const pid = Number(line);
  assert(runs(pid));
  owner.kill('SIGKILL');
  await eventually(
    () => runs(pid),
    (it) => !it,
    10_000,
  );
});
