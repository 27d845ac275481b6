import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import type { MethodCall, MethodOutcome } from '../../local-edge/src/hub/hub-api.ts';
import type { AzureIothub } from '../helpers/azure-iothub.ts';
import { startAzureIothub } from '../helpers/azure-iothub.ts';
import { deploymentOf } from '../helpers/deployment.ts';
import type { ServiceFixture } from '../helpers/service-api.ts';
import { startServiceApi } from '../helpers/service-api.ts';

const deployment = deploymentOf('deployed');

describe('the service API for azure-iothub', () => {
  let fixture: ServiceFixture;
  let sdk: AzureIothub;
  let outcome: (call: MethodCall) => MethodOutcome;
  const calls: MethodCall[] = [];

  before(async () => {
    fixture = await startServiceApi();
    fixture.hub.identities.add('worker');
    fixture.hub.attach({
      invoke: (call) => {
        calls.push(call);
        return Promise.resolve(outcome(call));
      },
      drop: () => undefined,
      loseSessions: () => undefined,
      recheckTokens: () => undefined,
      forget: () => undefined,
    });
    sdk = startAzureIothub(fixture);
  });
  after(async () => {
    await sdk.stop();
    await fixture.stop();
  });

  const field = (value: unknown, ...path: string[]): unknown =>
    path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value);

  it('invokes a method and hands over payload, time-outs and the reply in any language', async () => {
    const text = 'ключ-🔑-'.repeat(9000);
    outcome = (call) => ({ kind: 'reply', status: 404, payload: { echo: call.payload, text } });
    const { result } = await sdk.call('client', 'invokeDeviceMethod', 'dev-1', 'worker', {
      methodName: 'GetItem',
      payload: 0,
      responseTimeoutInSeconds: 7,
      connectTimeoutInSeconds: 2,
    });
    assert.deepEqual(field(result, 'payload', 'echo'), 0);
    assert.equal(field(result, 'payload', 'text'), text);
    assert.equal(field(result, 'status'), 404);
    const { responseTimeoutMs, connectTimeoutMs, methodName } = calls.at(-1) ?? {};
    assert.deepEqual(
      { responseTimeoutMs, connectTimeoutMs, methodName },
      { responseTimeoutMs: 7000, connectTimeoutMs: 2000, methodName: 'GetItem' },
    );
  });

  it('sends null for a method without payload', async () => {
    outcome = (call) => ({ kind: 'reply', status: 200, payload: call.payload });
    const { result } = await sdk.call('client', 'invokeDeviceMethod', 'dev-1', 'worker', {
      methodName: 'Health',
    });
    assert.deepEqual(result, { status: 200, payload: null });
  });

  it('answers 404103 for a module that is not connected and 504101 for one that is silent', async () => {
    outcome = () => ({ kind: 'notOnline' });
    const offline = await sdk.call('client', 'invokeDeviceMethod', 'dev-1', 'worker', { methodName: 'x' });
    assert.equal(offline.error?.status, 404);
    assert.match(offline.error.body, /404103/);
    outcome = () => ({ kind: 'timeout', requestId: 'r' });
    const silent = await sdk.call('client', 'invokeDeviceMethod', 'dev-1', 'worker', { methodName: 'x' });
    assert.equal(silent.error?.name, 'GatewayTimeoutError');
    assert.match(silent.error.body, /504101/);
  });

  it('knows no other device and no other module', async () => {
    const device = await sdk.call('registry', 'getTwin', 'dev-2');
    assert.equal(device.error?.name, 'DeviceNotFoundError');
    const module = await sdk.call('registry', 'getModuleTwin', 'dev-1', 'nobody');
    assert.equal(module.error?.status, 404);
    assert.match(module.error.body, /ModuleNotFound/);
  });

  it('reads and updates a module twin, with its etag as a guard', async () => {
    const { result: twin } = await sdk.call('registry', 'getModuleTwin', 'dev-1', 'worker');
    assert.equal(field(twin, 'properties', 'desired', '$version'), 1);
    const etag = String(field(twin, 'etag'));
    const patch = { properties: { desired: { endpoint: 'redis:6379', gone: null } }, tags: { site: 'a' } };
    const { result: updated } = await sdk.call(
      'registry',
      'updateModuleTwin',
      'dev-1',
      'worker',
      patch,
      etag,
    );
    assert.equal(field(updated, 'properties', 'desired', 'endpoint'), 'redis:6379');
    assert.equal(field(updated, 'properties', 'desired', '$version'), 2);
    assert.deepEqual(field(updated, 'tags'), { site: 'a' });
    const stale = await sdk.call('registry', 'updateModuleTwin', 'dev-1', 'worker', patch, etag);
    assert.equal(stale.error?.name, 'InvalidEtagError');
  });

  it('refuses a twin with a forbidden key and says which', async () => {
    const { error } = await sdk.call(
      'registry',
      'updateModuleTwin',
      'dev-1',
      'worker',
      { properties: { desired: { 'a.b': 1 } } },
      '*',
    );
    assert.equal(error?.name, 'ArgumentError');
    assert.match(error.message, /a\.b/);
  });

  it('applies a configuration: identities, desired properties, and an explained refusal', async () => {
    const applied = await sdk.call('registry', 'applyConfigurationContentOnDevice', 'dev-1', deployment);
    assert.equal(applied.error, undefined);
    const { result } = await sdk.call('registry', 'getModulesOnDevice', 'dev-1');
    const ids = (result as { moduleId: string }[]).map(({ moduleId }) => moduleId).sort();
    assert.deepEqual(ids, ['$edgeAgent', '$edgeHub', 'deployed', 'worker']);
    const twin = await sdk.call('registry', 'getModuleTwin', 'dev-1', 'deployed');
    assert.equal(field(twin.result, 'properties', 'desired', 'endpoint'), 'redis:6379');
    const refused = await sdk.call('registry', 'applyConfigurationContentOnDevice', 'dev-1', {
      modulesContent: { 'bad name': { 'properties.desired': {} } },
    });
    assert.equal(refused.error?.name, 'ArgumentError');
    assert.match(refused.error.message, /^The content provided for configuration is invalid\..*bad name/);
  });

  it('refuses to change the twin of a system module', async () => {
    const { error } = await sdk.call(
      'registry',
      'updateModuleTwin',
      'dev-1',
      '$edgeHub',
      { properties: { desired: { a: 1 } } },
      '*',
    );
    assert.equal(error?.name, 'UnauthorizedError');
  });

  it('adds, reads and removes a module identity', async () => {
    const added = await sdk.call('registry', 'addModule', { deviceId: 'dev-1', moduleId: 'extra' });
    const key = field(added.result, 'authentication', 'symmetricKey', 'primaryKey');
    assert.match(String(key), /^[A-Za-z0-9+/]{43}=$/);
    const again = await sdk.call('registry', 'addModule', { deviceId: 'dev-1', moduleId: 'extra' });
    assert.equal(again.error?.name, 'DeviceAlreadyExistsError');
    const read = await sdk.call('registry', 'getModule', 'dev-1', 'extra');
    assert.equal(field(read.result, 'authentication', 'symmetricKey', 'primaryKey'), key);
    const removed = await sdk.call('registry', 'removeModule', 'dev-1', 'extra');
    assert.equal(removed.error, undefined);
    const gone = await sdk.call('registry', 'getModule', 'dev-1', 'extra');
    assert.equal(gone.error?.status, 404);
  });

  it('has one device and refuses to make others', async () => {
    const list = await sdk.call('registry', 'list');
    assert.deepEqual(
      (list.result as { deviceId: string }[]).map(({ deviceId }) => deviceId),
      ['dev-1'],
    );
    const device = await sdk.call('registry', 'get', 'dev-1');
    assert.deepEqual(field(device.result, 'capabilities'), { iotEdge: true });
    const created = await sdk.call('registry', 'create', { deviceId: 'dev-2' });
    assert.equal(created.error?.name, 'TooManyDevicesError');
    const bulk = await sdk.call('registry', 'addDevices', [
      { deviceId: 'dev-2', authentication: { symmetricKey: { primaryKey: 'AAAA', secondaryKey: 'AAAA' } } },
    ]);
    assert.match(bulk.error?.message ?? '', /not emulated/);
  });

  it('answers queries whole, or in pages when asked to', async () => {
    const all = await sdk.call(
      'query',
      '',
      "SELECT * FROM devices.modules WHERE moduleId IN ['worker', 'deployed']",
    );
    const pages = all.result as { moduleId: string }[][];
    assert.deepEqual(
      pages.map((page) => page.length),
      [2],
    );
    const paged = await sdk.call('query', '', 'select * from devices.modules', 3);
    assert.deepEqual(
      (paged.result as unknown[][]).map((page) => page.length),
      [3, 1],
    );
  });

  it('keeps configurations and applies the one that targets the device', async () => {
    const added = await sdk.call('registry', 'addConfiguration', {
      id: 'everywhere',
      content: deployment,
      targetCondition: "deviceId = 'dev-1'",
      priority: 10,
      labels: {},
      metrics: { queries: {}, results: {} },
    });
    assert.equal(added.error, undefined);
    const { result } = await sdk.call('registry', 'getConfiguration', 'everywhere');
    assert.equal(field(result, 'systemMetrics', 'results', 'appliedCount'), 1);
    assert.equal((await sdk.call('registry', 'removeConfiguration', 'everywhere')).error, undefined);
    assert.deepEqual((await sdk.call('registry', 'getConfigurations')).result, []);
  });

  it('counts devices', async () => {
    const { result } = await sdk.call('registry', 'getRegistryStatistics');
    assert.equal(field(result, 'totalDeviceCount'), 1);
  });
});
