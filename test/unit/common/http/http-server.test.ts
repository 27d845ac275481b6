import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { JsonValue } from '@iotedge-redis/common';
import { ConfigError, SuiteError } from '@iotedge-redis/common';
import type {
  HttpMethods,
  HttpServer,
  HttpServerOptions,
} from '../../../../modules/common/src/http/http-server.ts';
import { startHttpServer } from '../../../../modules/common/src/http/http-server.ts';
import { MAX_METHOD_BYTES } from '../../../../modules/common/src/runner/method-table.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  readonly json: JsonValue;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly host?: string;
}

const invoked: [string, JsonValue][] = [];
const methods: HttpMethods = {
  names: () => ['GetItem', 'SetItem', 'Health'],
  invoke(name, payload) {
    invoked.push([name, payload]);
    if (name === 'Health') return Promise.reject(new SuiteError('INTERNAL', 'at redis://u:hunter2@h'));
    return Promise.resolve({ status: 404, payload: { Message: 'no such key', Status: 404 } });
  },
  reported: () => ({ health: { state: 'ok' } }),
  token: undefined,
};

async function start(t: TestContext, more: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const server = await startHttpServer({
    port: 0,
    host: '127.0.0.1',
    metrics: () => 'm_up 1\n',
    readiness: () => ({ isReady: true, body: { ready: true } }),
    methods,
    ...more,
  });
  t.after(() => server.stop(AbortSignal.abort()));
  return server;
}

function ask({ port }: HttpServer, path: string, { method, headers, body, host }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const how = {
      port,
      host: host ?? '127.0.0.1',
      path,
      method: method ?? 'GET',
      ...(headers ? { headers } : {}),
    };
    const sent = request(how, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        const json = text.startsWith('{') ? (JSON.parse(text) as JsonValue) : null;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const post = (body: string | Buffer, more: Ask = {}): Ask => ({ method: 'POST', body, ...more });

test('/metrics is Prometheus text', async (t) => {
  const { status, headers, text } = await ask(await start(t), '/metrics?x=1');
  assert.deepEqual(
    [status, headers['content-type'], text],
    [200, 'text/plain; version=0.0.4; charset=utf-8', 'm_up 1\n'],
  );
});

test('/healthz says that the process lives', async (t) => {
  const server = await start(t, { readiness: () => ({ isReady: false, body: {} }) });
  const { status, json } = await ask(server, '/healthz');
  assert.deepEqual([status, json], [200, { alive: true }]);
});

test('/readyz is 200 when ready and 503 when not, with the reason', async (t) => {
  let isReady = false;
  const server = await start(t, { readiness: () => ({ isReady, body: { detail: 'redis: refused' } }) });
  const before = await ask(server, '/readyz');
  isReady = true;
  const after = await ask(server, '/readyz');
  assert.deepEqual([before.status, before.json, after.status], [503, { detail: 'redis: refused' }, 200]);
});

test('HEAD is answered without a body', async (t) => {
  const server = await start(t);
  for (const path of ['/metrics', '/healthz', '/readyz', '/reported']) {
    const { status, text } = await ask(server, path, { method: 'HEAD' });
    assert.deepEqual([path, status, text], [path, 200, '']);
  }
});

const wrongVerbs: [string, string, string][] = [
  ['POST', '/metrics', 'GET, HEAD'],
  ['DELETE', '/healthz', 'GET, HEAD'],
  ['PUT', '/readyz', 'GET, HEAD'],
  ['POST', '/reported', 'GET, HEAD'],
  ['GET', '/methods/GetItem', 'POST'],
];
for (const [method, path, allow] of wrongVerbs) {
  test(`${method} ${path} is refused with what is allowed`, async (t) => {
    const { status, headers, json } = await ask(await start(t), path, { method });
    assert.deepEqual([status, headers.allow], [405, allow]);
    assert.deepEqual(json, { Message: `${path}: use ${allow}`, Status: 405 });
  });
}

test('other paths are not found', async (t) => {
  const server = await start(t);
  for (const path of ['/', '/methods', '/metrics/', '//metrics'])
    assert.equal((await ask(server, path)).status, 404, path);
});

test('a method is invoked with its payload and answered with status and payload', async (t) => {
  invoked.length = 0;
  const answer = await ask(await start(t), '/methods/GetItem', post('{"key": "a"}'));
  assert.deepEqual([answer.status, answer.json], [
    200,
    { status: 404, payload: { Message: 'no such key', Status: 404 } },
  ]); // prettier-ignore
  assert.deepEqual(invoked, [['GetItem', { key: 'a' }]]);
});

test('a method without a payload gets null', async (t) => {
  invoked.length = 0;
  await ask(await start(t), '/methods/GetItem', post(' \n'));
  assert.deepEqual(invoked, [['GetItem', null]]);
});

test('an unknown method is answered with the known ones', async (t) => {
  const server = await start(t);
  const answer = await ask(server, '/methods/GetItm', post('{}'));
  assert.equal(answer.status, 404);
  assert.deepEqual(answer.json, {
    Message: 'method GetItm: unknown; did you mean GetItem? known are: GetItem, SetItem, Health',
    Status: 404,
  });
  assert.equal((await ask(server, '/methods/%E0%A4', post('{}'))).status, 400);
  assert.equal((await ask(server, '/methods/Get%49tem', post('{}'))).status, 200);
});

test('a payload that is no JSON is refused with the place and without the text', async (t) => {
  const answer = await ask(await start(t), '/methods/SetItem', post('{"a": 1,\n  hunter2}'));
  assert.equal(answer.status, 400);
  assert.deepEqual(answer.json, {
    Message: 'the payload is not JSON: unexpected text at line 2, column 3',
    Status: 400,
  });
});

test('a payload whose bytes are not UTF-8 is refused rather than changed', async (t) => {
  const body = Buffer.from([0x22, 0xff, 0x3a, 0x61, 0x22]);
  const answer = await ask(await start(t), '/methods/SetItem', post(body));
  assert.deepEqual(answer.json, {
    Message: 'the payload is not JSON: its bytes are not UTF-8',
    Status: 400,
  });
});

test('a payload of 128 KB is taken and a larger one refused, to the end of what is sent', async (t) => {
  const server = await start(t);
  const text = (bytes: number): string => JSON.stringify('x'.repeat(bytes - 2));
  assert.equal((await ask(server, '/methods/SetItem', post(text(MAX_METHOD_BYTES)))).status, 200);
  for (const bytes of [MAX_METHOD_BYTES + 1, 4 * MAX_METHOD_BYTES]) {
    const answer = await ask(server, '/methods/SetItem', post(text(bytes)));
    assert.equal(answer.status, 413);
    assert.deepEqual(answer.json, { Message: 'the payload is larger than 131072 bytes', Status: 413 });
  }
});

test('a failure of our own is answered with 500 and without secrets', async (t) => {
  const answer = await ask(await start(t), '/methods/Health', post(''));
  assert.deepEqual([answer.status, answer.json], [500, { Message: 'at redis://***@h', Status: 500 }]);
});

test('what was reported can be read', async (t) => {
  assert.deepEqual((await ask(await start(t), '/reported')).json, { health: { state: 'ok' } });
});

test('under IoT Edge there are no methods over HTTP', async (t) => {
  const server = await start(t, { methods: undefined });
  const statuses = [
    await ask(server, '/methods/GetItem', post('{}')),
    await ask(server, '/reported'),
    await ask(server, '/healthz'),
  ].map(({ status }) => status);
  assert.deepEqual(statuses, [404, 404, 200]);
});

const strangers: [string, Record<string, string>][] = [
  ['a web page that a browser on this host shows', { origin: 'http://evil.example' }],
  ['a page whose name was made to point to this host', { host: 'evil.example:9600' }],
  ['a page on a name that looks local', { host: '127.0.0.1.evil.example' }],
  ['a page on a name that starts local', { host: 'localhost.evil.example' }],
];
for (const [who, headers] of strangers) {
  test(`without a token, ${who} is refused`, async (t) => {
    const server = await start(t);
    invoked.length = 0;
    const answer = await ask(server, '/methods/GetItem', post('{}', { headers }));
    assert.equal(answer.status, 403);
    assert.match(answer.text, /only callers on the same host are answered; set METHODS_TOKEN/);
    assert.equal((await ask(server, '/reported', { headers })).status, 403);
    assert.deepEqual(invoked, []);
  });
}

test('without a token, callers on this host are answered under each of its local names', async (t) => {
  const server = await start(t);
  for (const host of ['localhost:9600', '127.0.0.1', '[::1]:9600', '127.1.2.3:1'])
    assert.equal((await ask(server, '/reported', { headers: { host } })).status, 200, host);
});

test('with a token, exactly those who show it are answered', async (t) => {
  const server = await start(t, { methods: { ...methods, token: 's3cret' } });
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await ask(server, '/methods/GetItem', post('{}', { headers }))).status;
  assert.deepEqual(
    [
      await status({}),
      await status({ authorization: 'Bearer wrong' }),
      await status({ authorization: 'Basic s3cret' }),
      await status({ authorization: 's3cret' }),
      await status({ authorization: 'bearer s3cret' }),
      await status({ authorization: 'Bearer s3cret', origin: 'http://a', host: 'device.example' }),
    ],
    [401, 401, 401, 401, 200, 200],
  );
  const refused = await ask(server, '/reported');
  assert.equal(refused.headers['www-authenticate'], 'Bearer');
  assert.doesNotMatch(refused.text, /s3cret/);
});

test('a port in use, and an address that is not of this host, are mistakes of the settings', async (t) => {
  const { port } = await start(t);
  const mistake = (more: Partial<HttpServerOptions>): Promise<string> =>
    start(t, more).then(
      () => 'none',
      (error: unknown) => (error instanceof ConfigError ? error.message : String(error)),
    );
  assert.equal(
    await mistake({ port }),
    `environment HTTP_PORT: port ${port} is in use by another program; choose another one`,
  );
  const expected = 'environment HTTP_HOST: expected an address of this host';
  assert.equal(await mistake({ host: '192.0.2.1' }), expected);
});

test('stopping lets a reply under way go out whole, on a kept connection too', async (t) => {
  const large = 'x'.repeat(MAX_METHOD_BYTES - 2);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const server = await start(t, {
    methods: { ...methods, invoke: () => promise.then(() => ({ status: 200, payload: large })) },
  });
  const answer = ask(server, '/methods/GetItem', post('{}', { headers: { connection: 'keep-alive' } }));
  await sleep(50);
  const stopped = server.stop(new AbortController().signal);
  const begin = performance.now();
  resolve(undefined);
  const [{ text }] = await Promise.all([answer, stopped]);
  assert.ok(text.includes(large));
  assert.ok(performance.now() - begin < 250);
});

const silent = 'POST /methods/GetItem HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{';
for (const [what, isHurried, limitMs] of [
  ['waits a moment for callers that say nothing', false, 2000],
  ['does not wait for them when it has to hurry', true, 250],
] as const) {
  test(`stopping ${what}`, async (t) => {
    const server = await start(t);
    await ask(server, '/healthz', { headers: { connection: 'keep-alive' } });
    const sockets = [connect(server.port, '127.0.0.1'), connect(server.port, '127.0.0.1')];
    for (const socket of sockets) socket.on('error', () => undefined);
    sockets[0]?.write(silent);
    await sleep(50);
    const begin = performance.now();
    await server.stop(isHurried ? AbortSignal.abort() : new AbortController().signal);
    assert.ok(performance.now() - begin < limitMs);
  });
}

test('a caller that sends nonsense gets an answer, and others go on', async (t) => {
  const server = await start(t);
  const socket = connect(server.port, '127.0.0.1');
  socket.end('nonsense\r\n\r\n');
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += String(part);
  assert.match(text, /^HTTP\/1.1 400/);
  assert.equal((await ask(server, '/healthz')).status, 200);
});
