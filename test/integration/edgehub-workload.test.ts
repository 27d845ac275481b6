import assert from 'node:assert/strict';
import { createHmac, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import test from 'node:test';
import { startEdgeBed, type EdgeBed } from '../helpers/edge-hub-bed.ts';

/** One request as raw bytes: some SDKs write and read HTTP by themselves. Answers everything up to the end of the stream. */
async function exchange(path: string, lines: string[], body = ''): Promise<{ head: string; body: string }> {
  const socket = connect(path);
  await once(socket, 'connect');
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  socket.write(`${[...lines, ...length].join('\r\n')}\r\n\r\n${body}`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  const [head = '', ...rest] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n');
  return { head, body: rest.join('\r\n\r\n') };
}

async function post(
  bed: EdgeBed,
  path: string,
  body: object,
): Promise<{ status: number; body: Record<string, string> }> {
  bed.hub.identities.add('m1');
  const socket = await bed.workload.listen('m1');
  const reply = await exchange(
    socket,
    [`POST ${path}?api-version=2020-07-07 HTTP/1.1`, 'Host: localhost', 'Connection: close'],
    JSON.stringify(body),
  );
  return { status: Number(reply.head.split(' ')[1]), body: JSON.parse(reply.body) as Record<string, string> };
}

test('the socket has a short path in a private folder, the same at each start', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m'.repeat(128));
  const path = await bed.workload.listen('m'.repeat(128));
  assert.ok(Buffer.byteLength(path) <= 103);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  await bed.restart();
  assert.equal(await bed.workload.listen('m'.repeat(128)), path);
  await bed.workload.close('m'.repeat(128));
  assert.equal(existsSync(path), false);
});

test('a client that parses HTTP by itself gets a length, an end, and any api-version from 2018-06-28 on', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m1');
  const path = await bed.workload.listen('m1');
  for (const [version, host] of [
    ['2018-06-28', `Host: ${path}`],
    ['2022-08-03', 'Host: '],
    ['2020-07-07', 'X-None: 1'],
  ]) {
    const lines = [
      `GET /trust-bundle?api-version=${version ?? ''} HTTP/1.1`,
      host ?? '',
      'Connection: close',
    ];
    const reply = await exchange(path, lines);
    assert.match(reply.head, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(reply.head, /content-length: \d+/i);
    assert.doesNotMatch(reply.head, /chunked/i);
    assert.match(reply.head, /content-type: application\/json/i);
    assert.deepEqual(JSON.parse(reply.body), { certificate: bed.certificates.caPem });
  }
});

test('errors have a status line of three words and one ASCII line of JSON', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m1');
  const path = await bed.workload.listen('m1');
  for (const target of [
    '/nothing?api-version=2018-06-28',
    '/trust-bundle',
    '/trust-bundle?api-version=2017-01-01',
    '/%C3%BC?api-version=2018-06-28',
  ]) {
    const reply = await exchange(path, [`GET ${target} HTTP/1.1`, 'Connection: close']);
    assert.match(reply.head.split('\r\n')[0] ?? '', /^HTTP\/1\.1 4\d\d Error$/);
    assert.match(reply.body, /^\{"message":"[\x20-\x7e]+"\}$/);
  }
});

test('sign uses the key of the module and takes no other module', async (t) => {
  const bed = await startEdgeBed(t);
  const data = Buffer.from('localhost%2Fdevices\n123').toString('base64');
  const { status, body } = await post(bed, '/modules/m1/genid/whatever/sign', {
    keyId: 'x',
    algo: 'y',
    data,
  });
  assert.equal(status, 200);
  const key = Buffer.from(bed.hub.identities.get('m1')?.primaryKey ?? '', 'base64');
  assert.equal(body['digest'], createHmac('sha256', key).update('localhost%2Fdevices\n123').digest('base64'));
  assert.equal((await post(bed, '/modules/m2/genid/0/sign', { data })).status, 403);
  assert.equal((await post(bed, '/modules/m1/genid/0/sign', {})).status, 400);
});

test('what encrypt gives, decrypt takes back, and nothing else', async (t) => {
  const bed = await startEdgeBed(t);
  const plaintext = Buffer.from('a secret').toString('base64');
  const path = '/modules/m1/genid/0';
  const { body } = await post(bed, `${path}/encrypt`, { plaintext, initializationVector: 'iv' });
  const ciphertext = body['ciphertext'] ?? '';
  const back = await post(bed, `${path}/decrypt`, { ciphertext, initializationVector: 'iv' });
  assert.deepEqual(back, { status: 200, body: { plaintext } });
  assert.equal(
    (await post(bed, `${path}/decrypt`, { ciphertext, initializationVector: 'other' })).status,
    400,
  );
});

test('certificates for server and identity come from the CA of the trust bundle', async (t) => {
  const bed = await startEdgeBed(t);
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  const server = await post(bed, '/modules/m1/genid/0/certificate/server', {
    commonName: 'gateway',
    expiration,
  });
  assert.equal(server.status, 201);
  const certificate = new X509Certificate(server.body['certificate'] ?? '');
  assert.ok(certificate.verify(new X509Certificate(bed.certificates.caPem).publicKey));
  assert.equal(certificate.subjectAltName, 'DNS:gateway, DNS:m1');
  assert.equal((server.body['privateKey'] as unknown as { type: string }).type, 'key');
  const identity = await post(bed, '/modules/m1/certificate/identity', { expiration });
  assert.match(
    new X509Certificate(identity.body['certificate'] ?? '').subjectAltName ?? '',
    /URI:azureiot:\/\/localhost\/devices\/dev1\/modules\/m1/,
  );
  assert.equal(
    (await post(bed, '/modules/m1/genid/0/certificate/server', { commonName: 'x', expiration: 'soon' }))
      .status,
    400,
  );
});

test('the fault switches make trust-bundle and sign fail with 500', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.faults.signFails = true;
  bed.hub.faults.trustBundleFails = true;
  assert.equal((await post(bed, '/modules/m1/genid/0/sign', { data: 'eA==' })).status, 500);
  const path = await bed.workload.listen('m1');
  const reply = await exchange(path, [
    'GET /trust-bundle?api-version=2018-06-28 HTTP/1.1',
    'Connection: close',
  ]);
  assert.match(reply.head, /^HTTP\/1\.1 500 Error/);
});

test('GET /modules lists the modules, and there is no manifest trust bundle', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m1');
  const path = await bed.workload.listen('m1');
  const list = await exchange(path, ['GET /modules?api-version=2018-06-28 HTTP/1.1', 'Connection: close']);
  const { modules } = JSON.parse(list.body) as { modules: { name: string }[] };
  assert.deepEqual(
    modules.map(({ name }) => name),
    ['$edgeAgent', '$edgeHub', 'm1'],
  );
  const none = await exchange(path, [
    'GET /manifest-trust-bundle?api-version=2018-06-28 HTTP/1.1',
    'Connection: close',
  ]);
  assert.match(none.head, / 404 /);
});
