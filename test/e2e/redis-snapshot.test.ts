import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot, runProgram, startEdge } from '../helpers/edge-process.ts';
import type { EdgeProcess } from '../helpers/edge-process.ts';
import { withRedis } from '../helpers/import-bed.ts';
import { eventually } from '../helpers/site.ts';

const DEMO = [
  { kind: 'export', module: 'redis-snapshot', call: '-m redis-snapshot --mn Export' },
  { kind: 'copy', module: 'redis-snapshot', call: '-m redis-snapshot --mn Copy' },
  {
    kind: 'import',
    module: 'redis-snapshot-dr',
    call: `-m redis-snapshot-dr --mn Import --mp '{"policy":"exact"}'`,
  },
];

const isRunning = async (edge: EdgeProcess, name: string): Promise<boolean> =>
  (await edge.modules()).some((one) => one.name === name && one.status === 'running');

test('npm start shows export, copy and import into a second Redis: the three commands of the README', async (t) => {
  const edge = await startEdge(t);
  const readme = readFileSync(join(projectRoot, 'modules/redis-snapshot/README.md'), 'utf8');
  for (const { module } of DEMO) {
    await eventually(
      async () => (await edge.run('invoke-module-method', '-m', module, '--mn', 'ListSnapshots')).stdout,
      (text) => text.includes('"status": 200'),
      60_000,
    );
  }
  await edge.invoke('redis-client', 'SetItem', 'kept:1');
  for (const { kind, module, call } of DEMO) {
    const command = `npx edge invoke-module-method ${call}`;
    assert.ok(readme.includes(`\n${command}\n`), `the README has ${command}`);
    const { stdout, stderr } = await runProgram('sh', ['-c', command], { cwd: projectRoot, env: edge.env });
    const { payload: begun } = JSON.parse(stdout) as { payload: { Status: number; runId: string } };
    assert.equal(begun.Status, 202, `${stdout}${stderr}`);
    const over = await eventually(
      async () => {
        const { properties } = (await edge.json('module-twin', 'show', '-m', module)) as {
          properties: { reported: Record<string, Record<string, unknown> | undefined> };
        };
        return properties.reported[kind] ?? {};
      },
      ({ runId, finishedAt }) => runId === begun.runId && typeof finishedAt === 'string',
      60_000,
    );
    assert.equal(over['state'], 'done', JSON.stringify(over));
  }
  // What is deleted at the first site stays at the second one.
  await edge.invoke('redis-client', 'DeleteItem', 'kept');
  const ports = JSON.parse(readFileSync(join(edge.stateDir, 'net.json'), 'utf8')) as Record<string, number>;
  const port = ports['redis-dr:6379'];
  assert.ok(port !== undefined && port !== ports['redis:6379'], JSON.stringify(ports));
  await withRedis(port, async (client) => assert.equal(await client.get('kept'), '1'));
  assert.equal(await edge.interrupt(), 0);
  const again = await startEdge(t, {
    stateDir: edge.stateDir,
    flags: ['--port', '0', '--edge-hub-port', '0', '--no-https', '--no-sample'],
  });
  assert.equal(await isRunning(again, 'redis-snapshot'), true);
  assert.equal(await isRunning(again, 'redis-snapshot-dr'), false, 'the second site is a part of the sample');
  assert.equal(await again.interrupt(), 0);
});
