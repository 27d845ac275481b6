import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import mqttClient from 'mqtt';
import { sasToken, startEdgeBed, until, type EdgeBed } from '../helpers/edge-hub-bed.ts';
import { connectRaw, type RawMqtt } from '../helpers/raw-mqtt.ts';

const call = {
  moduleId: 'm1',
  methodName: 'Do',
  payload: null,
  responseTimeoutMs: 2000,
  connectTimeoutMs: 0,
};

async function target(bed: EdgeBed): Promise<RawMqtt> {
  const { raw } = await connectRaw(bed, 'm1');
  await raw.subscribe('$iothub/methods/POST/#');
  return raw;
}

/** Answers the next request; `mangle` changes the request id on its way back. */
async function reply(
  raw: RawMqtt,
  status: string,
  payload: string,
  mangle = (id: string) => id,
): Promise<string> {
  const request = await raw.publication();
  const id = /\?\$rid=(.+)$/.exec(request.topic)?.[1] ?? '';
  await raw.publish(`$iothub/methods/res/${status}/?$rid=${mangle(id)}`, payload, 1);
  return request.payload.toString();
}

test('a request without payload carries the text null, and a reply of any QoS and case of $rid counts', async (t) => {
  const bed = await startEdgeBed(t);
  const raw = await target(bed);
  const outcome = bed.hub.methods.invoke(call);
  assert.equal(await reply(raw, '200', '', (id) => id.toUpperCase()), 'null');
  assert.deepEqual(await outcome, { kind: 'reply', status: 200, payload: null });
});

test('a status that is no number becomes 400000', async (t) => {
  const bed = await startEdgeBed(t);
  const raw = await target(bed);
  const outcome = bed.hub.methods.invoke(call);
  await reply(raw, 'fine', '{}');
  assert.deepEqual(await outcome, { kind: 'reply', status: 400_000, payload: null });
});

test('an unknown module is not found; one that is away or not subscribed is not online', async (t) => {
  const bed = await startEdgeBed(t);
  assert.deepEqual(await bed.hub.methods.invoke({ ...call, moduleId: 'nobody' }), { kind: 'notFound' });
  await connectRaw(bed, 'm1');
  const started = Date.now();
  assert.deepEqual(await bed.hub.methods.invoke({ ...call, connectTimeoutMs: 200 }), { kind: 'notOnline' });
  assert.ok(Date.now() - started >= 195);
});

test('calls held for a late subscription follow after the settling time, one after another', async (t) => {
  const bed = await startEdgeBed(t, { limits: { methodSettleMs: 200 } });
  bed.hub.identities.add('m1');
  const held = [1, 2].map((payload) => bed.hub.methods.invoke({ ...call, payload, connectTimeoutMs: 5000 }));
  const raw = await target(bed);
  await assert.rejects(raw.publication(undefined, 120), 'not before the settling time');
  const first = await raw.publication();
  await assert.rejects(raw.publication(undefined, 100), 'the second waits for the first');
  raw.received.push(first);
  assert.equal(await reply(raw, '200', '1'), '1');
  assert.equal(await reply(raw, '200', '2'), '2');
  assert.deepEqual(
    (await Promise.all(held)).map((outcome) => outcome.kind),
    ['reply', 'reply'],
  );
});

test('a silent handler is a time-out, and so is a connection that closes, at once', async (t) => {
  const bed = await startEdgeBed(t);
  const raw = await target(bed);
  assert.equal((await bed.hub.methods.invoke({ ...call, responseTimeoutMs: 100 })).kind, 'timeout');
  const started = Date.now();
  const outcome = bed.hub.methods.invoke(call);
  raw.socket.destroy();
  assert.equal((await outcome).kind, 'timeout');
  assert.ok(Date.now() - started < 1000);
});

test('methods of a module that the local edge plays go to its handler', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.methods.handle('$edgeAgent', (name, payload) =>
    Promise.resolve({ status: 200, payload: { name, payload } }),
  );
  const outcome = await bed.hub.methods.invoke({ ...call, moduleId: '$edgeAgent', methodName: 'ping' });
  assert.deepEqual(outcome, { kind: 'reply', status: 200, payload: { name: 'ping', payload: null } });
  bed.hub.methods.handle('$edgeAgent', () => Promise.reject(new Error('no such module')));
  assert.deepEqual(await bed.hub.methods.invoke({ ...call, moduleId: '$edgeAgent' }), {
    kind: 'reply',
    status: 500,
    payload: { message: 'no such module' },
  });
});

async function serveHttps(bed: EdgeBed): Promise<number> {
  const { serverKeyPem: key, serverCertPem: cert } = bed.certificates;
  const server = createServer(
    { key, cert },
    (request, response) => void bed.edgeHub.handleRequest(request, response),
  );
  server.on('upgrade', (request, socket, head) => {
    bed.edgeHub.handleUpgrade(request, socket, head);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  bed.before(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

interface PostOptions {
  path?: string;
  body?: unknown;
  actor?: string;
  token?: string;
}

async function post(
  bed: EdgeBed,
  port: number,
  options: PostOptions = {},
): Promise<{ status: number; body: unknown }> {
  const {
    path = '/twins/dev1/modules/m1/methods',
    actor = 'dev1/caller',
    body = { methodName: 'Do', payload: null },
  } = options;
  const request = httpsRequest({
    host: '127.0.0.1',
    servername: 'localhost',
    port,
    path,
    method: 'POST',
    ca: bed.certificates.caPem,
    agent: false,
    headers: {
      'x-ms-edge-moduleId': actor,
      Authorization: options.token ?? sasToken(bed, 'caller'),
      'Content-Type': 'application/json',
    },
  });
  request.end(typeof body === 'string' ? body : JSON.stringify(body));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) as unknown };
}

test('a module invokes a sibling over HTTPS, with or without an api-version', async (t) => {
  const bed = await startEdgeBed(t);
  const raw = await target(bed);
  const port = await serveHttps(bed);
  for (const query of ['', '?api-version=2019-10-01']) {
    const answer = post(bed, port, {
      path: `/twins/dev1/modules/m1/methods${query}`,
      body: { methodName: 'Do', payload: { a: 1 }, responseTimeoutInSeconds: 5 },
    });
    assert.equal(await reply(raw, '404', '{"why":"module says so"}'), '{"a":1}');
    assert.deepEqual(await answer, {
      status: 200,
      body: { status: 404, payload: { why: 'module says so' } },
    });
  }
});

test('the refusals of edgeHub have its statuses and its bodies', async (t) => {
  const bed = await startEdgeBed(t);
  const port = await serveHttps(bed);
  const ask = (options: PostOptions) => post(bed, port, options);
  assert.deepEqual(await ask({}), { status: 404, body: { message: 'Client dev1/m1 not found' } });
  assert.equal((await ask({ token: 'nonsense' })).status, 401);
  assert.deepEqual(await ask({ actor: 'dev2/caller' }), {
    status: 401,
    body: { message: 'Only modules on the same device can invoke DirectMethods' },
  });
  assert.deepEqual(await ask({ actor: 'nonsense' }), {
    status: 400,
    body: { message: 'Invalid header value for x-ms-edge-moduleId' },
  });
  const invalid = [
    { methodName: '', payload: null },
    { methodName: 'x'.repeat(101), payload: null },
    { methodName: 'Do', payload: null, responseTimeoutInSeconds: 4 },
    { methodName: 'Do', payload: null, connectTimeoutInSeconds: 301 },
    { methodName: 'Do', payload: 'x'.repeat(131_072) },
    '{',
  ];
  for (const body of invalid) {
    const { status, body: text } = await ask({ body });
    assert.equal(status, 400);
    assert.equal(typeof text, 'string');
  }
  assert.equal((await ask({ body: { methodName: 'Do' } })).status, 500, 'a missing payload');
});

test('a target that leaves during the call is a 504 with the request id', async (t) => {
  const bed = await startEdgeBed(t);
  const raw = await target(bed);
  const port = await serveHttps(bed);
  const answer = post(bed, port);
  await raw.publication();
  raw.socket.destroy();
  const { status, body } = await answer;
  assert.equal(status, 504);
  assert.match(
    (body as { message: string }).message,
    /^Timed out waiting for device to respond to method request [0-9a-f-]{36}$/,
  );
});

test('MQTT works over a WebSocket on any path', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m1');
  const port = await serveHttps(bed);
  const client = mqttClient.connect(`wss://localhost:${port}/$iothub/websocket`, {
    protocolVersion: 4,
    clean: false,
    clientId: 'dev1/m1',
    username: 'localhost/dev1/m1/?api-version=2021-04-12',
    password: sasToken(bed, 'm1'),
    reconnectPeriod: 0,
    ca: bed.certificates.caPem,
  });
  bed.before(() => client.endAsync(true));
  await new Promise((resolve) => client.once('connect', resolve));
  await client.subscribeAsync('$iothub/twin/res/#');
  const message = new Promise((resolve) => client.once('message', (topic) => resolve(topic)));
  await client.publishAsync('$iothub/twin/GET/?$rid=5', ' ');
  assert.equal(await message, '$iothub/twin/res/200/?$rid=5');
  bed.hub.drop('rst', 'm1');
  await until('a dropped WebSocket closes', () => !client.connected);
});
