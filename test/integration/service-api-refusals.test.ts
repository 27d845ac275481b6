import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';

import type { ServiceFixture } from '../helpers/service-api.ts';
import { serviceToken, startServiceApi } from '../helpers/service-api.ts';

describe('what the service API refuses', () => {
  let fixture: ServiceFixture;
  let edgeHubCalls = 0;
  let upgrades = 0;

  before(async () => {
    fixture = await startServiceApi({
      edgeHubHandler: (request, response) => {
        edgeHubCalls += 1;
        request.resume();
        response.end('{"from":"edgeHub"}');
      },
      edgeHubUpgrade: (_request, socket) => {
        upgrades += 1;
        socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      },
    });
    fixture.hub.identities.add('worker');
  });
  after(() => fixture.stop());

  const message = (body: unknown): string => String((body as { Message?: unknown } | undefined)?.Message);

  it('answers 401 in form A to every token that does not fit', async () => {
    const key = fixture.policyKey;
    const worker = fixture.hub.identities.get('worker');
    const tokens: Record<string, string | null> = {
      'no token': null,
      'an Azure AD token': 'Bearer abc',
      'another policy': serviceToken(key, 'localhost', { skn: 'device' }),
      'another key': serviceToken(Buffer.from('other').toString('base64'), 'localhost'),
      'an expired token': serviceToken(key, 'localhost', { se: Math.floor(Date.now() / 1000) - 1 }),
      'another hub': serviceToken(key, 'other.azure-devices.net'),
      'a hub whose name only begins alike': serviceToken(key, 'localhost.example'),
      'a narrower resource': serviceToken(key, 'localhost%2Ftwins'),
      'a device key': serviceToken(fixture.hub.identities.deviceKeys.primary, 'localhost%2Fdevices%2Fdev-1', {
        skn: null,
      }),
      'a device key under the policy': serviceToken(fixture.hub.identities.deviceKeys.primary, 'localhost'),
      'a module key': serviceToken(worker?.primaryKey ?? '', 'localhost', { skn: null }),
      'a broken escape': 'SharedAccessSignature sr=%zz&sig=%zz&se=99999999999&skn=iothubowner',
    };
    for (const [what, authorization] of Object.entries(tokens)) {
      const { status, body, headers } = await fixture.call('GET', '/devices/dev-1', { authorization });
      assert.equal(status, 401, what);
      assert.match(message(body), /^ErrorCode:IotHubUnauthorizedAccess;Unauthorized$/, what);
      assert.equal(headers['iothub-errorcode'], 'IotHubUnauthorizedAccess', what);
    }
  });

  it('accepts the host bare, encoded with its port as Python sends it, in capitals, and with a path that covers', async () => {
    for (const sr of [
      'localhost',
      `localhost%3A${fixture.api.port}`,
      `localhost:8443`,
      'LOCALHOST',
      'localhost%2Fdevices',
    ]) {
      const { status } = await fixture.call('GET', '/devices/dev-1', {
        authorization: serviceToken(fixture.policyKey, sr),
      });
      assert.equal(status, 200, sr);
    }
  });

  it('needs an api-version, of any value', async () => {
    const missing = await fixture.call('GET', '/devices/dev-1?api-version=');
    assert.equal(missing.status, 400);
    assert.equal((await fixture.call('GET', '/devices/dev-1?api-version=1900-01-01')).status, 200);
  });

  it('ignores a trailing slash and decodes ids', async () => {
    assert.equal((await fixture.call('GET', '/devices/')).status, 200);
    assert.equal((await fixture.call('GET', '/twins/dev-1/modules/%24edgeHub/')).status, 200);
  });

  it('says that jobs, digital twins and unknown paths are not emulated', async () => {
    for (const [method, path] of [
      ['GET', '/jobs/v2/query'],
      ['PUT', '/jobs/v2/a'],
      ['GET', '/digitaltwins/dev-1'],
      ['GET', '/fileNotifications'],
    ] as const) {
      const { status, body } = await fixture.call(method, path);
      assert.equal(status, 404, path);
      assert.match(message(body), /^ErrorCode:NotEmulated;.*not emulated/, path);
    }
  });

  it('answers 405 for a method that a path does not have', async () => {
    assert.equal((await fixture.call('DELETE', '/twins/dev-1')).status, 405);
  });

  it('protects system modules, also in lower-level ways', async () => {
    for (const [method, path, body] of [
      ['PATCH', '/twins/dev-1/modules/%24edgeAgent', { properties: { desired: { a: 1 } } }],
      ['PUT', '/twins/dev-1/modules/%24edgeHub', { properties: { desired: {} } }],
      ['DELETE', '/devices/dev-1/modules/%24edgeHub', undefined],
    ] as const) {
      const { status, headers } = await fixture.call(method, path, body === undefined ? {} : { body });
      assert.equal(status, 401, path);
      assert.equal(headers['iothub-errorcode'], 'SystemModuleModifyUnauthorizedAccess', path);
    }
    assert.ok(fixture.hub.identities.get('$edgeHub'));
  });

  it('says where a body is not what it should be', async () => {
    const twin = '/twins/dev-1/modules/worker';
    for (const [path, body, pattern] of [
      [twin, '{"a":', /not JSON/],
      [twin, '[]', /must be a JSON object/],
      [twin, '', /needs a JSON body/],
      [twin, { properties: { desired: 5 } }, /properties\.desired must be a JSON object/],
      [twin, { properties: { desired: { big: 'x'.repeat(4097) } } }, /"big" is longer than 4096/],
    ] as const) {
      const reply = await fixture.call('PATCH', path, { body });
      assert.equal(reply.status, 400);
      assert.match(message(reply.body), pattern);
    }
  });

  it('refuses a twin section over 32 KB and leaves the twin as it was', async () => {
    const before = fixture.hub.twins.get('worker');
    const desired = Object.fromEntries(
      Array.from({ length: 9 }, (_, index) => [`k${index}`, 'x'.repeat(4000)]),
    );
    const { status, body } = await fixture.call('PATCH', '/twins/dev-1/modules/worker', {
      body: { properties: { desired } },
    });
    assert.equal(status, 400);
    assert.match(message(body), /32768/);
    assert.deepEqual(fixture.hub.twins.get('worker'), before);
  });

  it('refuses a body over 1 MB without keeping it', async () => {
    const { status } = await fixture.call('PATCH', '/twins/dev-1', { body: `"${'x'.repeat(1_100_000)}"` });
    assert.equal(status, 413);
  });

  it('checks method calls before the module hears of them', async () => {
    const path = '/twins/dev-1/modules/worker/methods';
    for (const [body, pattern] of [
      [{ payload: 1 }, /methodName/],
      [{ methodName: ' ' }, /methodName/],
      [{ methodName: 'm'.repeat(101) }, /100 characters/],
      [{ methodName: 'm', responseTimeoutInSeconds: 4 }, /responseTimeoutInSeconds/],
      [{ methodName: 'm', responseTimeoutInSeconds: 301 }, /responseTimeoutInSeconds/],
      [{ methodName: 'm', connectTimeoutInSeconds: '-1' }, /connectTimeoutInSeconds/],
      [{ methodName: 'm', payload: 'x'.repeat(131_071) }, /131073 bytes/],
    ] as const) {
      const reply = await fixture.call('POST', path, { body });
      assert.equal(reply.status, 400);
      const inner = JSON.parse(message(reply.body)) as { errorCode: number; message: string };
      assert.equal(inner.errorCode, 400004);
      assert.match(inner.message, pattern);
    }
  });

  it('answers a method call to a module that is not there, or not connected, in form B', async () => {
    const nobody = await fixture.call('POST', '/twins/dev-1/modules/nobody/methods', {
      body: { methodName: 'm' },
    });
    assert.equal(nobody.status, 404);
    assert.match(message(nobody.body), /"errorCode":404010/);
    const offline = await fixture.call('POST', '/twins/dev-1/modules/worker/methods', {
      body: { methodName: 'm' },
    });
    assert.match(message(offline.body), /"errorCode":404103.*"timeout":"00:00:00"/);
    const device = await fixture.call('POST', '/twins/dev-1/methods', { body: { methodName: 'm' } });
    assert.match(message(device.body), /404103/);
  });

  it('takes a reply of 128 KB and refuses a larger one', async () => {
    const sizes = [131_070, 131_071];
    fixture.hub.methods.handle('worker', (name) =>
      Promise.resolve({ status: 200, payload: 'x'.repeat(sizes[Number(name)] ?? 0) }),
    );
    const path = '/twins/dev-1/modules/worker/methods';
    assert.equal((await fixture.call('POST', path, { body: { methodName: '0' } })).status, 200);
    assert.equal((await fixture.call('POST', path, { body: { methodName: '1' } })).status, 502);
  });

  it('refuses queries and target conditions that it could not answer', async () => {
    for (const query of [
      'SELECT * FROM devices.jobs',
      'SELECT * FROM devices GROUP BY tags.a',
      'DELETE FROM devices',
    ]) {
      assert.equal((await fixture.call('POST', '/devices/query', { body: { query } })).status, 400, query);
    }
    const { status, body } = await fixture.call('PUT', '/configurations/a', {
      body: {
        content: { modulesContent: { $edgeAgent: { 'properties.desired': {} } } },
        targetCondition: 'FROM devices.modules WHERE moduleId = 1',
      },
    });
    assert.equal(status, 400);
    assert.match(message(body), /not emulated/);
  });

  it('writes JSON in ASCII only', async () => {
    await fixture.call('PATCH', '/twins/dev-1/modules/worker', { body: { tags: { name: 'Zürich 🔑' } } });
    const { text, body } = await fixture.call('GET', '/twins/dev-1/modules/worker');
    assert.match(text, /^[\x20-\x7e]*$/);
    assert.deepEqual((body as { tags: unknown }).tags, { name: 'Zürich 🔑' });
  });

  it('keeps the device twin and the configurations when it is started again', async () => {
    await fixture.call('PATCH', '/twins/dev-1', { body: { tags: { site: 'b' } } });
    const again = await startServiceApi({
      hub: fixture.hub,
      stateDir: fixture.dir,
      policyKey: fixture.policyKey,
    });
    try {
      const { body } = await again.call('GET', '/twins/dev-1', {
        authorization: serviceToken(fixture.policyKey, 'localhost'),
      });
      assert.deepEqual((body as { tags: unknown }).tags, { site: 'b' });
    } finally {
      await again.stop();
    }
  });

  it('hands calls with x-ms-edge-moduleId to edgeHub, whatever else they carry', async () => {
    const { body } = await fixture.call('POST', '/twins/dev-1/modules/worker/methods', {
      headers: { 'x-ms-edge-moduleId': 'dev-1/worker' },
      authorization: null,
    });
    assert.deepEqual(body, { from: 'edgeHub' });
    assert.equal(edgeHubCalls, 1);
  });

  async function upgrade(protocol: string): Promise<string> {
    const socket = connect({
      port: fixture.api.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: readFileSync(fixture.caFile),
    });
    await once(socket, 'secureConnect');
    socket.write(
      `GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString();
    return text.split('\r\n')[0] ?? '';
  }

  it('hands WebSockets of the subprotocol mqtt to edgeHub and refuses others', async () => {
    assert.match(await upgrade('mqtt'), /101/);
    assert.match(await upgrade('amqp'), /404/);
    assert.equal(upgrades, 1);
  });

  it('is reached on every loopback address of the machine', async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const loopback = addresses.filter(({ internal }) => internal).map(({ address }) => address);
    for (const host of ['127.0.0.1', '::1'].filter((address) => loopback.includes(address))) {
      const ca = readFileSync(fixture.caFile);
      const socket = connect({ host, port: fixture.api.port, servername: 'localhost', ca });
      await once(socket, 'secureConnect');
      socket.destroy();
    }
  });

  it('takes a free port when its own is in use, and says that a second one is not to be had', async () => {
    const blocker = createServer();
    blocker.listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as AddressInfo;
    const lines: string[] = [];
    const other = await startServiceApi({ port, log: (_level, text) => lines.push(text) });
    try {
      assert.notEqual(other.api.port, port);
      assert.match(lines.join('\n'), new RegExp(`port ${port} is in use`));
      assert.equal(await other.api.listenAlso(port), false);
    } finally {
      await other.stop();
      blocker.close();
    }
  });
});
