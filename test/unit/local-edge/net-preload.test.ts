import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { createCertificates } from '../../../local-edge/src/certificates.ts';
import { openNetworkTable, preloadUrl } from '../../../local-edge/src/net/net-table.ts';
import type { NetworkTable } from '../../../local-edge/src/net/net-table.ts';
import { freePort } from '../../helpers/redis.ts';

const run = promisify(execFile);

interface Net {
  readonly table: NetworkTable;
  readonly dir: string;
  /** Runs a program of a module and answers what it prints. */
  program(module: string | null, source: string, hostPorts?: ReadonlyMap<number, number>): Promise<string>;
}

function network(t: TestContext): Net {
  const dir = mkdtempSync(join(tmpdir(), 'net-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const table = openNetworkTable(join(dir, 'net.json'));
  return {
    table,
    dir,
    async program(module, source, hostPorts = new Map()) {
      const preload = preloadUrl(table.file, module === null ? undefined : { name: module, hostPorts });
      const { stdout } = await run(process.execPath, [
        '--import',
        preload,
        '--input-type=module',
        '-e',
        source,
      ]);
      return stdout.trim();
    },
  };
}

async function answering(t: TestContext, text: string): Promise<number> {
  const server = createServer((_request, response) => response.end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

const callers: readonly (readonly [string, string])[] = [
  ['fetch', `console.log(await (await fetch('http://redis:6380/')).text())`],
  [
    'node:http',
    `import http from 'node:http';
     http.get('http://redis:6380/', (r) => r.setEncoding('utf8').on('data', (c) => console.log(c)))`,
  ],
  [
    'net.connect with options',
    `import net from 'node:net';
     const s = net.connect({ host: 'redis', port: '6380' }); s.end('GET / HTTP/1.0\\r\\n\\r\\n');
     let all = ''; for await (const c of s) all += c; console.log(all.split('\\r\\n\\r\\n')[1])`,
  ],
  [
    'net.connect with port and host',
    `import net from 'node:net';
     const s = net.connect(6380, 'redis', () => s.end('GET / HTTP/1.0\\r\\n\\r\\n'));
     let all = ''; for await (const c of s) all += c; console.log(all.split('\\r\\n\\r\\n')[1])`,
  ],
  ['a name in other letters', `console.log(await (await fetch('http://REDIS:6380/')).text())`],
];
for (const [title, source] of callers) {
  test(`reaches a name of the table by ${title}`, async (t) => {
    const net = network(t);
    net.table.set('redis', 6380, await answering(t, 'pong'));
    assert.equal(await net.program('a', source), 'pong');
  });
}

test('looks no name of the table up', async (t) => {
  const net = network(t);
  net.table.set('redis', 6380, await answering(t, 'pong'));
  const source = `import dns from 'node:dns';
    for (const name of ['lookup', 'resolve']) dns[name] = () => { throw new Error('looked up') };
    console.log(await (await fetch('http://redis:6380/')).text())`;
  assert.equal(await net.program('a', source), 'pong');
});

test('refuses a port on which a module that exists does not listen, at once and without a look-up', async (t) => {
  const net = network(t);
  net.table.addName('redis');
  const source = `import net from 'node:net';
    net.connect(7777, 'redis').on('error', (e) => console.log(e.code, e.message, e.port))`;
  assert.equal(await net.program('a', source), 'ECONNREFUSED connect ECONNREFUSED redis:7777 7777');
});

test('takes up a changed table at the next connection', async (t) => {
  const net = network(t);
  net.table.set('redis', 6380, await answering(t, 'one'));
  const second = await answering(t, 'two');
  const source = `import fs from 'node:fs';
    const ask = async () => (await fetch('http://redis:6380/', { headers: { connection: 'close' } })).text();
    const first = await ask();
    fs.writeFileSync(${JSON.stringify(net.table.file)}, JSON.stringify({ 'redis:6380': ${second} }));
    console.log(first, await ask())`;
  assert.equal(await net.program('a', source), 'one two');
});

test('keeps the name against which TLS checks the certificate', async (t) => {
  const net = network(t);
  const { caFile, serverKeyPem, serverCertPem } = await createCertificates(net.dir, ['gateway']);
  const server = createTlsServer({ key: serverKeyPem, cert: serverCertPem }, (socket) => socket.end()).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  t.after(() => server.close());
  for (const name of ['gateway', 'other']) net.table.set(name, 8883, (server.address() as AddressInfo).port);
  const source = `import tls from 'node:tls'; import fs from 'node:fs';
    const ca = fs.readFileSync(${JSON.stringify(caFile)});
    for (const host of ['gateway', 'other']) await new Promise((done) => {
      const socket = tls.connect({ host, port: 8883, ca }, () => { console.log(host, socket.authorized); socket.end(); done(); });
      socket.on('error', (error) => { console.log(host, error.code); done(); });
    })`;
  assert.equal(await net.program('a', source), 'gateway true\nother ERR_TLS_CERT_ALTNAME_INVALID');
});

test('gives two modules the same port and enters both in the table', async (t) => {
  const net = network(t);
  const source = (name: string) => `import http from 'node:http'; import fs from 'node:fs';
    const server = http.createServer((_q, r) => r.end('I am ${name}')).listen(9600);
    await new Promise((r) => server.once('listening', r));
    console.log(server.address().port, await (await fetch('http://localhost:9600/')).text());
    console.log(fs.readFileSync(${JSON.stringify(net.table.file)}, 'utf8').includes('"${name}:9600"'));
    server.close(); server.closeAllConnections();`;
  const [a, b] = await Promise.all([net.program('a', source('a')), net.program('b', source('b'))]);
  assert.equal(a, '9600 I am a\ntrue');
  assert.equal(b, '9600 I am b\ntrue');
  assert.deepEqual(net.table.read(), {});
});

test('keeps a server that is bound to localhost to its own module', async (t) => {
  const net = network(t);
  const source = `import http from 'node:http'; import fs from 'node:fs';
    const server = http.createServer((_q, r) => r.end('mine')).listen(9600, '127.0.0.1');
    await new Promise((r) => server.once('listening', r));
    console.log(await (await fetch('http://127.0.0.1:9600/')).text(), Object.keys(JSON.parse(fs.readFileSync(${JSON.stringify(net.table.file)}))));
    server.close(); server.closeAllConnections();`;
  assert.equal(await net.program('a', source), "mine [ 'a/localhost:9600' ]");
});

test('listens on the host port that PortBindings ask for', async (t) => {
  const net = network(t);
  const port = await freePort();
  const source = `import http from 'node:http';
    const server = http.createServer((_q, r) => r.end('published')).listen({ port: 9600 });
    await new Promise((r) => server.once('listening', r));
    console.log(await (await fetch('http://127.0.0.1:${port}/')).text());
    server.close(); server.closeAllConnections();`;
  assert.equal(await net.program('a', source, new Map([[9600, port]])), 'published');
});

test('says that a port is in use when the module itself uses it twice', async (t) => {
  const net = network(t);
  const source = `import net from 'node:net';
    const one = net.createServer().listen(9600, () => {
      net.createServer().listen(9600).on('error', (e) => { console.log(e.code, e.port); one.close(); }); });`;
  assert.equal(await net.program('a', source), 'EADDRINUSE 9600');
});

test('leaves port 0, Unix sockets and names outside the table alone', async (t) => {
  const net = network(t);
  const path = join(net.dir, 's.sock');
  const port = await answering(t, 'outside');
  const source = `import net from 'node:net'; import fs from 'node:fs';
    const free = net.createServer().listen(0, '127.0.0.1');
    await new Promise((r) => free.once('listening', r));
    const unix = net.createServer((s) => s.end('unix')).listen(${JSON.stringify(path)});
    await new Promise((r) => unix.once('listening', r));
    let text = ''; for await (const c of net.connect(${JSON.stringify(path)})) text += c;
    console.log(free.address().port > 0, text, await (await fetch('http://127.0.0.1:${port}/')).text());
    console.log(fs.readFileSync(${JSON.stringify(net.table.file)}, 'utf8').trim());
    free.close(); unix.close();`;
  assert.equal(await net.program('a', source), 'true unix outside\n{}');
});

test('without a module a program reaches the others and keeps its own ports', async (t) => {
  const net = network(t);
  net.table.set('redis', 6380, await answering(t, 'pong'));
  const port = await freePort();
  const source = `import http from 'node:http';
    const server = http.createServer((_q, r) => r.end()).listen(${port}, '127.0.0.1');
    await new Promise((r) => server.once('listening', r));
    console.log(server.address().port, await (await fetch('http://redis:6380/')).text());
    server.close(); server.closeAllConnections();`;
  assert.equal(await net.program(null, source), `${port} pong`);
});

test('keeps every entry when many processes write at once', async (t) => {
  const net = network(t);
  const source = `import net from 'node:net';
    for (let port = 9000; port < 9010; port++) {
      const server = net.createServer().listen(port); server.unref();
      await new Promise((r) => server.once('listening', r));
    }`;
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => net.program(name, source)));
  assert.equal(Object.keys(net.table.read()).length, 50);
});

test('takes the lock of a process that died over', (t) => {
  const net = network(t);
  const lock = `${net.table.file}.lock`;
  writeFileSync(lock, '');
  const startedAt = Date.now();
  net.table.set('a', 1, 2);
  assert(Date.now() - startedAt < 8000);
  assert.deepEqual(JSON.parse(readFileSync(net.table.file, 'utf8')), { 'a:1': 2 });
});

test('forgets the ports of a name, and the name only when it is asked to', (t) => {
  const { table } = network(t);
  table.addName('a');
  table.set('a', 1, 2);
  table.set('ab', 1, 3);
  table.clear('a', false);
  assert.deepEqual(table.read(), { 'a:*': 0, 'ab:1': 3 });
  table.clear('a', true);
  assert.deepEqual(table.read(), { 'ab:1': 3 });
});
