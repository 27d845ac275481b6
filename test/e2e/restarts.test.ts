import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAzureIothubFor } from '../helpers/azure-iothub.ts';
import type { AzureIothub } from '../helpers/azure-iothub.ts';
import { manifestOf, runs, startEdge } from '../helpers/edge-process.ts';
import type { EdgeProcess, Manifest } from '../helpers/edge-process.ts';
import { answersPing } from '../helpers/ping.ts';
import { eventually } from '../helpers/site.ts';

const client = 'redis-client';
/** The first restart of a module that ended comes after ten seconds, as with edgeAgent. */
const restartsWithinMs = 25_000;

async function call(sdk: AzureIothub, methodName: string, payload: unknown): Promise<number> {
  const parameters = { methodName, payload, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 0 };
  const { result } = await sdk.call('client', 'invokeDeviceMethod', 'local-edge', client, parameters);
  return (result as { status?: number } | undefined)?.status ?? 0;
}

async function statusOf(edge: EdgeProcess, name: string): Promise<string | undefined> {
  return (await edge.modules()).find((one) => one.name === name)?.status;
}

async function deploy(edge: EdgeProcess, manifest: Manifest): Promise<void> {
  const file = join(edge.stateDir, 'next.json');
  writeFileSync(file, JSON.stringify(manifest));
  await edge.ok('set-modules', '--content', file);
}

test('while Redis is gone the module says so within 3 s, and works within 2 s of its return', async (t) => {
  const edge = await startEdge(t);
  const sdk = startAzureIothubFor(t, edge);
  assert.equal(await call(sdk, 'SetItem', 'kept:value'), 200);
  // The append-only file goes to disk once a second.
  await sleep(1200);
  const pid = await edge.pidOf('redis');
  process.kill(pid, 'SIGKILL');

  const killedAt = performance.now();
  assert.equal(await call(sdk, 'GetItem', 'kept'), 503);
  assert(performance.now() - killedAt < 3000, 'the answer took too long');

  await eventually(() => answersPing(edge), Boolean, restartsWithinMs);
  const backAt = performance.now();
  assert.notEqual(await edge.pidOf('redis'), pid);
  await eventually(
    () => call(sdk, 'GetItem', 'kept'),
    (status) => status === 200,
  );
  const late = performance.now() - backAt;
  assert(late < 2000, `the module worked ${Math.round(late)} ms after Redis was back`);
  assert.match(await edge.ok('logs', 'edgeAgent'), /redis: exited with code 137/);
});

test('a module that dies is started again by its policy and connects', async (t) => {
  const edge = await startEdge(t);
  const pid = await edge.pidOf(client);
  process.kill(pid, 'SIGKILL');
  const listed = await eventually(
    () => edge.ok('list'),
    (text) => text.includes('next start in'),
  );
  assert.match(listed, /^redis-client +backoff +exited with code 137, next start in \d+ s +\S+$/m);
  await eventually(
    () => statusOf(edge, client),
    (status) => status === 'running',
    restartsWithinMs,
  );
  assert.notEqual(await edge.pidOf(client), pid);
  const sdk = startAzureIothubFor(t, edge);
  await eventually(
    () => call(sdk, 'SetItem', 'a:b'),
    (status) => status === 200,
  );
});

test('edge restart NAME makes a new process of it', async (t) => {
  const edge = await startEdge(t);
  await edge.invoke(client, 'SetItem', 'kept:over a restart of Redis');
  const before = await edge.pidOf('redis');
  assert.equal(await edge.ok('restart', 'redis'), 'redis\n');
  assert.equal(runs(before), false);
  await edge.ok('restart', client);
  const sdk = startAzureIothubFor(t, edge);
  await eventually(
    () => call(sdk, 'GetItem', 'kept'),
    (status) => status === 200,
  );
  const unknown = await edge.run('restart', 'redsi');
  assert.equal(unknown.code, 1);
  const known = (await edge.modules()).map((one) => one.name);
  assert.ok(known.includes(client));
  assert.equal(unknown.stderr, `edge: there is no module redsi; there are ${known.join(', ')}\n`);
});

test('the status of a deployment stops a module and starts it again', async (t) => {
  const edge = await startEdge(t);
  const manifest = manifestOf(edge);
  const module = manifest.modulesContent.$edgeAgent['properties.desired'].modules[client] ?? {};
  const pid = await edge.pidOf(client);
  module['status'] = 'stopped';
  await deploy(edge, manifest);
  await eventually(
    () => statusOf(edge, client),
    (status) => status === 'stopped',
  );
  assert.equal(runs(pid), false);
  const refused = await edge.run(
    'invoke-module-method',
    '-m',
    client,
    '--mn',
    'GetItem',
    '--mp',
    '"a"',
    '--to',
    '5',
  );
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /redis-client is not connected or has registered no methods \(404103\); edge list/,
  );

  module['status'] = 'running';
  await deploy(edge, manifest);
  const sdk = startAzureIothubFor(t, edge);
  await eventually(
    () => call(sdk, 'SetItem', 'a:b'),
    (status) => status === 200,
  );
});
