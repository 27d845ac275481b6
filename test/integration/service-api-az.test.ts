import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import type { JsonValue, MethodCall, MethodOutcome } from '../../local-edge/src/hub/hub-api.ts';
import { deploymentOf } from '../helpers/deployment.ts';
import type { ServiceFixture, ServiceReply } from '../helpers/service-api.ts';
import { serviceToken, startServiceApi } from '../helpers/service-api.ts';

/** Requests as the az extension 0.25.0 makes them: its api-version, headers and token. */
describe('the service API for the request shapes of az iot', () => {
  let fixture: ServiceFixture;
  let invoke: (call: MethodCall) => Promise<MethodOutcome>;

  before(async () => {
    fixture = await startServiceApi();
    fixture.hub.identities.add('worker');
    fixture.hub.attach({
      invoke: (call) => invoke(call),
      drop: () => undefined,
      loseSessions: () => undefined,
      recheckTokens: () => undefined,
      forget: () => undefined,
    });
  });
  after(() => fixture.stop());

  function az(
    method: string,
    path: string,
    body?: JsonValue,
    headers: Record<string, string> = {},
  ): Promise<ServiceReply> {
    return fixture.call(method, `${path}?api-version=2024-03-31`, {
      authorization: serviceToken(fixture.policyKey, `localhost%3A${fixture.api.port}`),
      ...(body === undefined ? {} : { body }),
      headers: {
        accept: 'application/json',
        'content-type': 'application/json; charset=utf-8',
        'x-ms-client-request-id': 'a1',
        'accept-language': 'en-US',
        'user-agent': 'python/3.11 msrest/0.7.1 IoTPlatformCliExtension/0.25.0',
        ...headers,
      },
    });
  }
  const at = (value: unknown, ...path: string[]): unknown =>
    path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);

  it('takes set-modules and answers the list that az prints', async () => {
    const applied = await az('POST', '/devices/dev-1/applyConfigurationContent', deploymentOf('first'));
    assert.equal(applied.status, 204);
    assert.equal(applied.text, '');
    const list = await az('GET', '/devices/dev-1/modules');
    assert.equal(list.status, 200);
    const ids = (list.body as { moduleId: string }[]).map(({ moduleId }) => moduleId);
    assert.deepEqual(ids.sort(), ['$edgeAgent', '$edgeHub', 'first', 'worker']);
  });

  it('gives export-modules twins with metadata and version', async () => {
    const { body } = await az('GET', '/twins/dev-1/modules/%24edgeAgent');
    assert.equal(typeof at(body, 'properties', 'desired', '$version'), 'number');
    assert.equal(typeof at(body, 'properties', 'desired', '$metadata', '$lastUpdated'), 'string');
  });

  it('takes the time-outs of invoke-module-method as strings', async () => {
    const seen: MethodCall[] = [];
    invoke = (call) => {
      seen.push(call);
      return Promise.resolve({ kind: 'reply', status: 200, payload: { Message: 'pong', Status: 200 } });
    };
    const { status, body } = await az('POST', '/twins/dev-1/modules/worker/methods', {
      methodName: 'GetItem',
      payload: 'ping',
      responseTimeoutInSeconds: '30',
      connectTimeoutInSeconds: '30',
    });
    assert.equal(status, 200);
    assert.deepEqual(body, { status: 200, payload: { Message: 'pong', Status: 200 } });
    assert.equal(seen[0]?.payload, 'ping');
  });

  it('answers a silent module half a second before the time at which az stops reading', async () => {
    invoke = () => new Promise(() => undefined);
    fixture.hub.identities.setConnected('worker', true);
    const started = Date.now();
    const { status, body, headers } = await az('POST', '/twins/dev-1/modules/worker/methods', {
      methodName: 'x',
      payload: {},
      responseTimeoutInSeconds: 5,
      connectTimeoutInSeconds: 5,
    });
    const took = Date.now() - started;
    assert.equal(status, 504);
    assert.equal(headers['iothub-errorcode'], 'GatewayTimeout');
    const inner = JSON.parse(String(at(body, 'Message'))) as { errorCode: number };
    assert.equal(inner.errorCode, 504101);
    assert.ok(took >= 4000 && took <= 4900, `answered after ${took} ms`);
  });

  it('merges the patch of module-twin update --desired and keeps its nulls as deletions', async () => {
    const path = '/twins/dev-1/modules/worker';
    await az('PATCH', path, { properties: { desired: { a: 1, b: { c: 2 } } } }, { 'if-match': '"*"' });
    const { status, body } = await az(
      'PATCH',
      path,
      { properties: { desired: { a: null } } },
      { 'if-match': '"*"' },
    );
    assert.equal(status, 200);
    assert.equal(at(body, 'properties', 'desired', 'a'), undefined);
    assert.deepEqual(at(body, 'properties', 'desired', 'b'), { c: 2 });
  });

  it('takes the whole twin of module-twin update --set and ignores what is read-only', async () => {
    const path = '/twins/dev-1/modules/worker';
    const { body } = await az('GET', path);
    const twin = structuredClone(body) as Record<string, JsonValue>;
    const desired = at(twin, 'properties', 'desired') as Record<string, JsonValue>;
    desired['d'] = 'new';
    twin['version'] = 77;
    twin['properties'] = { desired, reported: { fake: 1, $version: 9, $metadata: {} } };
    const { status, body: updated } = await az('PATCH', path, twin, { 'if-match': '"*"' });
    assert.equal(status, 200);
    assert.equal(at(updated, 'properties', 'desired', 'd'), 'new');
    assert.equal(at(updated, 'properties', 'reported', 'fake'), undefined);
    assert.equal(
      at(updated, 'properties', 'desired', '$version'),
      Number(at(body, 'properties', 'desired', '$version')) + 1,
    );
  });

  it('replaces by PUT what module-twin replace sends', async () => {
    const { status, body } = await az(
      'PUT',
      '/twins/dev-1/modules/worker',
      { properties: { desired: { only: true } }, tags: { t: 1 } },
      { 'if-match': '"*"' },
    );
    assert.equal(status, 200);
    const desired = at(body, 'properties', 'desired') as Record<string, unknown>;
    assert.deepEqual(Object.keys(desired).sort(), ['$metadata', '$version', 'only']);
    assert.deepEqual(at(body, 'tags'), { t: 1 });
  });

  it('refuses another etag with 412 and takes the right one, quoted or bare', async () => {
    const path = '/twins/dev-1/modules/worker';
    const refused = await az('PATCH', path, { tags: { x: 1 } }, { 'if-match': '"AAAA"' });
    assert.equal(refused.status, 412);
    assert.equal(refused.headers['iothub-errorcode'], 'PreconditionFailed');
    for (const form of [(etag: string) => `"${etag}"`, (etag: string) => etag]) {
      const { body } = await az('GET', path);
      const taken = await az(
        'PATCH',
        path,
        { tags: { x: 1 } },
        { 'if-match': form(String(at(body, 'etag'))) },
      );
      assert.equal(taken.status, 200);
    }
  });

  it('shows a module identity with the keys that connection-string show needs', async () => {
    const { body } = await az('GET', '/devices/dev-1/modules/worker');
    assert.equal(at(body, 'authentication', 'type'), 'sas');
    assert.equal(typeof at(body, 'authentication', 'symmetricKey', 'primaryKey'), 'string');
  });

  it('answers the query of device-identity list --ee and follows its pages', async () => {
    const query = { query: 'select * from devices where capabilities.iotEdge = true' };
    const { status, body, headers } = await az('POST', '/devices/query', query, {
      'x-ms-max-item-count': '1000',
      'cache-control': 'no-cache, must-revalidate',
    });
    assert.equal(status, 200);
    assert.equal(headers['x-ms-continuation'], undefined);
    assert.deepEqual(
      (body as { deviceId: string }[]).map(({ deviceId }) => deviceId),
      ['dev-1'],
    );
    const modules = { query: 'select moduleId from devices.modules' };
    const first = await az('POST', '/devices/query', modules, { 'x-ms-max-item-count': '2' });
    const continuation = String(first.headers['x-ms-continuation']);
    const second = await az('POST', '/devices/query', modules, {
      'x-ms-max-item-count': '2',
      'x-ms-continuation': continuation,
    });
    assert.equal((first.body as unknown[]).length, 2);
    assert.equal((second.body as unknown[]).length, 2);
    assert.notDeepEqual(first.body, second.body);
    assert.equal(second.headers['x-ms-continuation'], undefined);
  });

  it('creates, lists and deletes an at-scale deployment', async () => {
    const created = await az('PUT', '/configurations/site-a', {
      id: 'site-a',
      schemaVersion: '2.0',
      labels: {},
      content: deploymentOf('second'),
      targetCondition: "tags.site = 'a'",
      priority: 3,
      etag: '*',
      metrics: { results: {}, queries: {} },
    });
    assert.equal(created.status, 200);
    assert.equal(at(created.body, 'systemMetrics', 'results', 'targetedCount'), 0);
    assert.equal(fixture.hub.identities.get('second'), undefined);
    const tagged = await az('PATCH', '/twins/dev-1', { tags: { site: 'a' } }, { 'if-match': '"*"' });
    assert.equal(tagged.status, 200);
    assert.ok(fixture.hub.identities.get('second'), 'the deployment reached the device when its tags fitted');
    const list = await az('GET', '/configurations');
    assert.ok((list.body as { content: unknown }[])[0]?.content);
    const removed = await az('DELETE', '/configurations/site-a', undefined, { 'if-match': '"*"' });
    assert.equal(removed.status, 204);
  });
});
