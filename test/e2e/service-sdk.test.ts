import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../local-edge/src/hub/hub-api.ts';
import { startAzureIothubFor } from '../helpers/azure-iothub.ts';
import type { AzureIothub, SdkAnswer } from '../helpers/azure-iothub.ts';
import { manifestOf, runs, startEdge } from '../helpers/edge-process.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import { eventually } from '../helpers/site.ts';

const device = 'local-edge';
const client = 'redis-client';

function invoke(sdk: AzureIothub, methodName: string, payload: unknown, seconds = 5): Promise<SdkAnswer> {
  const call = { methodName, payload, responseTimeoutInSeconds: seconds, connectTimeoutInSeconds: 0 };
  return sdk.call('client', 'invokeDeviceMethod', device, client, call);
}

async function read(sdk: AzureIothub, key: string): Promise<unknown> {
  return (await invoke(sdk, 'GetItem', key)).result;
}

const found = (value: string) => ({ status: 200, payload: { Message: value, Status: 200 } });

async function setDesired(sdk: AzureIothub, desired: JsonObject): Promise<number> {
  const { result, error } = await sdk.call(
    'registry',
    'updateModuleTwin',
    device,
    client,
    { properties: { desired } },
    '*',
  );
  assert.equal(error, undefined);
  return (result as { properties: { desired: { $version: number } } }).properties.desired.$version;
}

/** A module reports every ten seconds at most. */
const reportsWithinMs = 20_000;

/** The acknowledgement of `endpoint` for a version of the desired section. */
async function acknowledged(
  sdk: AzureIothub,
  version: number,
): Promise<{ value: string; ac: number; ad: string }> {
  const ack = await eventually(
    async () => {
      const { result } = await sdk.call('registry', 'getModuleTwin', device, client);
      return (result as { properties: { reported: { endpoint?: JsonObject } } }).properties.reported.endpoint;
    },
    (endpoint) => endpoint?.['av'] === version,
    reportsWithinMs,
  );
  const { value, ac, ad } = ack ?? {};
  return { value: value as string, ac: Number(ac), ad: ad as string };
}

test('the service SDK reads and writes Redis through the module, as it would on a device', async (t) => {
  const edge = await startEdge(t);
  const sdk = startAzureIothubFor(t, edge);
  assert.deepEqual((await invoke(sdk, 'SetItem', 'ping:pong')).result, {
    status: 200,
    payload: { Message: "Written:True => key = 'ping', value = 'pong'", Status: 200 },
  });
  assert.deepEqual(await read(sdk, 'ping'), found('pong'));
  assert.deepEqual(await read(sdk, 'nothing'), {
    status: 404,
    payload: { Message: 'No value available in Redis', Status: 404 },
  });
  const large = `€🙂"\\:\n${'x'.repeat(100_000)}`;
  await invoke(sdk, 'SetItem', { key: 'large', value: large });
  assert.deepEqual(await read(sdk, 'large'), found(large));

  const unknown = await sdk.call('client', 'invokeDeviceMethod', device, 'nobody', { methodName: 'GetItem' });
  assert.equal(unknown.error?.status, 404);
  assert.match(unknown.error.body, /404010/);
});

test('a new endpoint takes over, a wrong or silent one leaves the old connection working and says why', async (t) => {
  const edge = await startEdge(t);
  const sdk = startAzureIothubFor(t, edge);
  await invoke(sdk, 'SetItem', 'where:the first');

  const bad = await acknowledged(sdk, await setDesired(sdk, { endpoint: 'http://redis:6379' }));
  assert.equal(bad.ac, 400);
  assert.match(bad.ad, /redis:\/\//);
  assert.deepEqual(await read(sdk, 'where'), found('the first'));

  const port = await freePort();
  const away = await acknowledged(sdk, await setDesired(sdk, { endpoint: `127.0.0.1:${port}` }));
  assert.equal(away.ac, 503);
  assert.match(away.ad, /127\.0\.0\.1/);
  assert.deepEqual(await read(sdk, 'where'), found('the first'));

  // A Redis that comes there after all is taken, without another word.
  await startRedis(t, { port, args: '--user redis-client on nopass ~* +@all'.split(' ') });
  await eventually(
    () => read(sdk, 'where'),
    (reply) => (reply as { status: number }).status === 404,
    20_000,
  );
  const back = await acknowledged(sdk, await setDesired(sdk, { endpoint: 'redis:6379' }));
  assert.deepEqual({ value: back.value, ac: back.ac }, { value: 'redis:6379', ac: 200 });
  assert.deepEqual(await read(sdk, 'where'), found('the first'));
});

test('applied configurations add and remove modules, and their processes follow', async (t) => {
  const edge = await startEdge(t);
  const sdk = startAzureIothubFor(t, edge);
  const manifest = manifestOf(edge);
  const modules = manifest.modulesContent.$edgeAgent['properties.desired'].modules;
  const deployed = ['$edgeAgent', '$edgeHub', ...Object.keys(modules)].sort();
  modules['second-client'] = modules[client] ?? {};
  Object.assign(manifest.modulesContent, {
    'second-client': { 'properties.desired': { endpoint: 'redis:6379' } },
  });
  const before = await edge.pidOf(client);
  const applied = await sdk.call('registry', 'applyConfigurationContentOnDevice', device, manifest);
  assert.equal(applied.error, undefined);
  const call = {
    methodName: 'SetItem',
    payload: 'by:the second',
    responseTimeoutInSeconds: 5,
    connectTimeoutInSeconds: 10,
  };
  const reply = await sdk.call('client', 'invokeDeviceMethod', device, 'second-client', call);
  assert.equal((reply.result as { status?: number } | undefined)?.status, 200, JSON.stringify(reply));
  assert.deepEqual(await read(sdk, 'by'), found('the second'));
  assert.equal(await edge.pidOf(client), before, 'what did not change is left alone');

  const second = await edge.pidOf('second-client');
  delete modules['second-client'];
  Reflect.deleteProperty(manifest.modulesContent, 'second-client');
  assert.equal(
    (await sdk.call('registry', 'applyConfigurationContentOnDevice', device, manifest)).error,
    undefined,
  );
  await eventually(
    async () => (await edge.modules()).map((one) => one.name),
    (names) => !names.includes('second-client'),
  );
  assert.equal(runs(second), false);
  const identities = await sdk.call('registry', 'getModulesOnDevice', device);
  assert.deepEqual((identities.result as { moduleId: string }[]).map((one) => one.moduleId).sort(), deployed);
});

test('a configuration that does not hold is refused by name and changes nothing', async (t) => {
  const edge = await startEdge(t);
  const sdk = startAzureIothubFor(t, edge);
  const manifest = manifestOf(edge);
  const before = await edge.pidOf(client);
  manifest.modulesContent.$edgeHub['properties.desired'].routes['wrong'] = 'FROM nowhere INTO nothing';
  const { error } = await sdk.call('registry', 'applyConfigurationContentOnDevice', device, manifest);
  assert.equal(error?.status, 400);
  assert.match(error.body, /InvalidConfigurationContent.*route \\"wrong\\"/);
  assert.equal(await edge.pidOf(client), before);
});

/** Each fault, how it is put right, and what a caller may be told while it lasts. */
const faults: readonly {
  readonly name: string;
  readonly on: string[];
  readonly off: string[];
  readonly drop?: 'rst' | 'fin';
}[] = [
  { name: 'a reset connection', on: [], off: [], drop: 'rst' },
  { name: 'a refused connection', on: ['refuse=on'], off: ['refuse=off'], drop: 'fin' },
  { name: 'CONNACK 5', on: ['connack=5'], off: ['connack=off'], drop: 'rst' },
  { name: 'a peer that falls silent', on: ['stall=on'], off: ['stall=off'] },
];

for (const { name, on, off, drop } of faults) {
  test(`methods work again by themselves after ${name}`, async (t) => {
    const edge = await startEdge(t);
    const sdk = startAzureIothubFor(t, edge);
    await invoke(sdk, 'SetItem', 'kept:value');
    const pid = await edge.pidOf(client);
    if (on.length > 0 || drop !== undefined)
      await edge.ok('faults', ...on, ...(drop === undefined ? [] : ['--drop', drop]));
    if (on.length > 0) {
      const failed = await invoke(sdk, 'GetItem', 'kept');
      assert([404, 504].includes(failed.error?.status ?? 0), JSON.stringify(failed));
      await edge.ok('faults', ...off);
    }
    await eventually(
      async () => (await invoke(sdk, 'GetItem', 'kept')).result,
      (result) => JSON.stringify(result) === JSON.stringify(found('value')),
      40_000,
    );
    // In the process that it was: a module is not restarted for that.
    assert.equal(await edge.pidOf(client), pid);
    await setDesired(sdk, { readOnly: true });
    const refused = await eventually(
      async () => (await invoke(sdk, 'SetItem', 'kept:no more')).result as { status: number },
      ({ status }) => status !== 200,
    );
    assert.equal(refused.status, 403, 'desired properties arrive again');
  });
}
