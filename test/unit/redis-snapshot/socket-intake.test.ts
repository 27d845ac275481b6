import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { createCa, issueCertificate } from '../../../local-edge/src/certificate-authority.ts';
import { SocketIntake } from '../../../modules/redis-snapshot/src/server/socket-intake.ts';

const late = (): Error => new Error('nothing came');
const PACE = { silenceMs: 5000, late };

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** The reading end of a connection on whose other end `serve` is at work. */
async function plain(t: TestContext, serve: (socket: Socket) => unknown): Promise<SocketIntake> {
  const port = await listen(
    t,
    createServer((socket) => void serve(socket)),
  );
  const intake = new SocketIntake({ isTls: false });
  const socket = connect({ port, host: '127.0.0.1', onread: intake.onread });
  intake.attach(socket);
  t.after(() => socket.destroy());
  return intake;
}

async function overTls(t: TestContext, serve: (socket: Socket) => unknown): Promise<SocketIntake> {
  const notBefore = new Date(Date.now() - 60_000);
  const expires = new Date(Date.now() + 3_600_000);
  const ca = await createCa(notBefore, expires);
  const names = ['localhost'];
  const pair = await issueCertificate(ca, { commonName: 'a', names, use: 'server', notBefore, expires });
  const port = await listen(
    t,
    createTlsServer(pair, (socket) => void serve(socket)),
  );
  const intake = new SocketIntake({ isTls: true });
  const options = { port, host: 'localhost', ca: ca.cert, onread: intake.onread };
  const socket = connectTls(options);
  intake.attach(socket);
  t.after(() => socket.destroy());
  return intake;
}

/** In pieces as a server sends its snapshot: small ones, a moment apart. */
async function sendPieces(socket: Socket, content: Buffer, pieceBytes: number): Promise<void> {
  for (let at = 0; at < content.length; at += pieceBytes) {
    if (!socket.write(content.subarray(at, at + pieceBytes))) await once(socket, 'drain');
    await pause(0);
  }
  socket.end();
}

/** Reads to the end. Each chunk is looked at only once the next one is there, and its memory spoilt then. */
async function readAll(
  intake: SocketIntake,
  everyMs: number,
): Promise<{ readonly sha: string; readonly steps: number }> {
  const hash = createHash('sha256');
  let before: Buffer = Buffer.alloc(0);
  let steps = 0;
  for (;;) {
    const chunk = await intake.next({ ...PACE, everyMs });
    hash.update(before);
    before.fill(0xee);
    if (chunk === undefined) return { sha: hash.digest('hex'), steps };
    before = chunk;
    steps += 1;
  }
}

const CONTENT = randomBytes(4 * 1024 * 1024);
const SHA = createHash('sha256').update(CONTENT).digest('hex');

for (const [name, open] of [
  ['TCP', plain],
  ['TLS', overTls],
] as const) {
  test(`what comes over ${name} in small pieces is taken together when that is asked for, and each byte once`, async (t) => {
    const pieces = CONTENT.length / 8192;
    const paced = await readAll(await open(t, (socket) => sendPieces(socket, CONTENT, 8192)), 10);
    assert.equal(paced.sha, SHA);
    assert.ok(paced.steps < pieces / 3, `${paced.steps} steps for ${pieces} pieces`);
  });

  test(`a sender over ${name} that is faster than the reader looks is not held up by the pauses`, async (t) => {
    const startedAt = performance.now();
    const intake = await open(t, (socket) => socket.end(CONTENT));
    const { sha, steps } = await readAll(intake, 250);
    assert.equal(sha, SHA);
    const tookMs = performance.now() - startedAt;
    // In steps of a record each it would be a minute.
    assert.ok(tookMs < 4000, `${tookMs} ms, ${steps} steps`);
  });

  test(`what comes over ${name} is given at once where no pause is asked for, and a reader that stops holds the sender back`, async (t) => {
    const content = Buffer.concat(Array.from({ length: 12 }, () => CONTENT));
    const peer: { socket?: Socket } = {};
    const intake = await open(t, (socket) => (peer.socket = socket).end(content));
    let length = 0;
    for (let chunk = await intake.next(PACE); chunk !== undefined; chunk = await intake.next(PACE)) {
      // What the buffers of the network hold is less than a quarter of it.
      if (length === 0) {
        await pause(500);
        assert.ok((peer.socket?.writableLength ?? 0) > 0, 'all was sent to a reader that takes nothing');
      }
      assert.ok(chunk.equals(content.subarray(length, length + chunk.length)));
      length += chunk.length;
    }
    assert.equal(length, content.length);
  });
}

test('the last bytes come before the end of the connection does, and the end again and again', async (t) => {
  const intake = await plain(t, (socket) => socket.end('last'));
  await pause(50);
  assert.equal((await intake.next({ ...PACE, everyMs: 5 }))?.toString(), 'last');
  assert.equal(await intake.next({ ...PACE, everyMs: 5 }), undefined);
  assert.equal(await intake.next(PACE), undefined);
});

test('a connection that breaks is told by its error, and silence by the error of whoever waits', async (t) => {
  const reset = await plain(t, async (socket) => {
    socket.write('some');
    await pause(50);
    socket.resetAndDestroy();
  });
  assert.equal((await reset.next({ ...PACE, everyMs: 5 }))?.toString(), 'some');
  await assert.rejects(reset.next({ ...PACE, everyMs: 5 }), { code: 'ECONNRESET' });
  const silent = await plain(t, () => undefined);
  await assert.rejects(silent.next({ silenceMs: 100, late }), /nothing came/);
});
