import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEdge } from '../helpers/edge-process.ts';
import { eventually } from '../helpers/site.ts';

test('npm start shows export, copy and import: three methods, and what was deleted meanwhile is there again', async (t) => {
  const edge = await startEdge(t);
  const run = async (method: string, payload: object | null, kind: string) => {
    const { payload: begun } = (await edge.invoke('redis-snapshot', method, payload)) as {
      payload: { Status: number; runId: string };
    };
    assert.equal(begun.Status, 202, JSON.stringify(begun));
    const reported = async (): Promise<Record<string, unknown>> => {
      const { properties } = (await edge.json('module-twin', 'show', '-m', 'redis-snapshot')) as {
        properties: { reported: Record<string, Record<string, unknown> | undefined> };
      };
      return properties.reported[kind] ?? {};
    };
    return eventually(
      reported,
      ({ runId, finishedAt }) => runId === begun.runId && typeof finishedAt === 'string',
      60_000,
    );
  };
  await eventually(
    async () => (await edge.invoke('redis-snapshot', 'ListSnapshots', null)) as { status: number },
    ({ status }) => status === 200,
    60_000,
  );
  await edge.invoke('redis-client', 'SetItem', 'kept:1');
  const exported = await run('Export', null, 'export');
  assert.equal(exported['state'], 'done', JSON.stringify(exported));
  await edge.invoke('redis-client', 'DeleteItem', 'kept');
  const copied = await run('Copy', null, 'copy');
  assert.equal(copied['state'], 'done', JSON.stringify(copied));
  const imported = await run('Import', { policy: 'replace' }, 'import');
  assert.equal(imported['state'], 'done', JSON.stringify(imported));
  const { payload } = await edge.invoke('redis-client', 'GetItem', 'kept');
  assert.deepEqual(payload, { Message: '1', Status: 200 });
  assert.equal(await edge.interrupt(), 0);
});
