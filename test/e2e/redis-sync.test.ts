import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startAzurite, CONTAINER } from '../helpers/azurite.ts';
import { startEdge } from '../helpers/edge-process.ts';
import { eventually } from '../helpers/site.ts';

test('npm start imports the sample file from the embedded Azurite; a twin edit imports another one', async (t) => {
  const edge = await startEdge(t);
  const reported = async (): Promise<Record<string, unknown>> => {
    const { properties } = (await edge.json('module-twin', 'show', '-m', 'redis-sync')) as {
      properties: { reported: { sync?: Record<string, unknown> } };
    };
    return properties.reported.sync ?? {};
  };
  const sample = await eventually(reported, ({ state, rows }) => state === 'done' && rows === 3, 15_000);
  assert.deepEqual([sample['ac'], sample['written'], sample['skipped']], [200, 3, 0]);
  const { payload } = await edge.invoke('redis-client', 'GetItem', 'key2');
  assert.deepEqual(payload, { Message: 'value2', Status: 200 });

  const azurite = await startAzurite(t);
  await azurite.upload('own.csv', 'key,value\nown:1,"a, b"\nbad\n');
  const update = {
    blobEndpoint: azurite.endpoint,
    blobContainerName: CONTAINER,
    blobFileName: 'own.csv',
    blobSasToken: azurite.sas(),
  };
  const twin = (await edge.json(
    'module-twin',
    'update',
    '-m',
    'redis-sync',
    '--desired',
    JSON.stringify(update),
  )) as {
    properties: { desired: { $version: number } };
  };
  const own = await eventually(reported, ({ state, rows }) => state === 'done' && rows === 2, 15_000);
  assert.equal(own['av'], twin.properties.desired.$version);
  assert.deepEqual(own['errors'], [{ row: 3, reason: '1 field where 2 are expected' }]);
  assert.deepEqual((await edge.invoke('redis-client', 'GetItem', 'own:1'))['payload'], {
    Message: 'a, b',
    Status: 200,
  });
  const { payload: status } = await edge.invoke('redis-sync', 'SyncStatus', null);
  assert.equal((status as { state: string }).state, 'done');
  assert.equal(await edge.interrupt(), 0);
});

test('RS-28 two twin edits in a row: the running import ends between two batches, and the newest one is carried out', async (t) => {
  const ROWS = 6000;
  const edge = await startEdge(t);
  const azurite = await startAzurite(t);
  const lines = (name: string, count: number): string =>
    Array.from({ length: count }, (_, index) => `${name}${index}:v\n`).join('');
  await azurite.upload('slow.csv', lines('slow', ROWS));
  await azurite.upload('next.csv', lines('next', 10));
  await azurite.upload('newest.csv', lines('newest', 20));
  const update = async (blobFileName: string, more: object = {}): Promise<void> => {
    const place = {
      blobEndpoint: azurite.endpoint,
      blobContainerName: CONTAINER,
      blobSasToken: azurite.sas(),
    };
    const desired = JSON.stringify({ ...place, blobFileName, ...more });
    await edge.json('module-twin', 'update', '-m', 'redis-sync', '--desired', desired);
  };
  const status = async (): Promise<Record<string, unknown>> =>
    (await edge.invoke('redis-sync', 'SyncStatus', null))['payload'] as Record<string, unknown>;
  await update('slow.csv', { batchRows: 100, maxRowsPerSecond: 100 });
  await eventually(
    status,
    ({ blob, written }) =>
      (blob as string | undefined)?.endsWith('slow.csv') === true && Number(written) >= 300,
    120_000,
  );
  await update('next.csv');
  await update('newest.csv');
  const end = await eventually(
    status,
    ({ blob, state }) => (blob as string | undefined)?.endsWith('newest.csv') === true && state === 'done',
    120_000,
  );
  assert.equal(end['written'], 20);
  let slow = 0;
  for (let from = 0; from < ROWS; from += 1000) {
    const keys = Array.from({ length: 1000 }, (_, index) => `slow${from + index}`);
    const { payload } = await edge.invoke('redis-client', 'GetItems', keys);
    slow += (payload as { Items: { Status: number }[] }).Items.filter(({ Status }) => Status === 200).length;
  }
  assert.ok(slow >= 300 && slow < ROWS && slow % 100 === 0, `${slow} rows of the cancelled import`);
});

test('a local edge that is killed takes the sample storage along', async (t) => {
  const edge = await startEdge(t);
  const azurites = (): number[] =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => parentOf(pid) === edge.facts.pid && commandOf(pid).includes('azurite'));
  const [azurite] = await eventually(
    () => Promise.resolve(azurites()),
    (pids) => pids.length === 1,
    15_000,
  );
  process.kill(edge.facts.pid, 'SIGKILL');
  await eventually(
    () => Promise.resolve(commandOf(azurite ?? 0)),
    (command) => command === '',
    10_000,
  );
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}
