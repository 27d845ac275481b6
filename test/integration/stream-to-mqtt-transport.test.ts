import { ok } from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createTcpServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { createCertificates } from '../../local-edge/src/certificates.ts';
import { addressOf } from '../../modules/stream-to-mqtt/src/mqtt/mqtt-address.ts';
import { openTransport } from '../../modules/stream-to-mqtt/src/mqtt/mqtt-transport.ts';

/** Linux acknowledges a packet of a dialogue 40 ms later unless an answer takes the acknowledgement along. */
const DELAYED_ACK_MS = 40;
const ROUNDS = 15;

/** Answers `?` at once and nothing else; tells when each piece came. */
interface Peer {
  readonly onSocket: (socket: Socket) => void;
  readonly arrivals: { readonly text: string; readonly at: number }[];
}

function createPeer(): Peer {
  const arrivals: { text: string; at: number }[] = [];
  return {
    arrivals,
    onSocket(socket) {
      socket.on('error', () => undefined);
      socket.on('data', (data) => {
        for (const text of data.toString()) {
          arrivals.push({ text, at: performance.now() });
          if (text === '?') socket.write('!');
        }
      });
    },
  };
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/** The median time by which a packet arrives after the one before it, which is not acknowledged yet. */
async function gapBetweenPackets(
  t: TestContext,
  peer: Peer,
  kind: 'tcp' | 'tls',
  port: number,
  caFile?: string,
): Promise<number> {
  const files = caFile === undefined ? {} : { caFile, serverName: 'localhost' };
  const stream = await openTransport(addressOf(kind, '127.0.0.1', port), files);
  t.after(() => stream.destroy());
  const ask = async (): Promise<void> => {
    const answer = once(stream, 'data');
    stream.write('?');
    await answer;
  };
  // A dialogue: the peer's system delays its acknowledgements from here on.
  for (let n = 0; n < 20; n += 1) await ask();
  const gaps: number[] = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    const before = peer.arrivals.length;
    stream.write('a');
    await sleep(2);
    stream.write('b');
    while (peer.arrivals.length < before + 2) await sleep(1);
    const [first, second] = peer.arrivals.slice(before);
    gaps.push((second?.at ?? 0) - (first?.at ?? 0));
    await ask();
  }
  return gaps.sort((one, other) => one - other)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}

test('SM-4: TCP_NODELAY is set: a small packet does not wait for the acknowledgement of the one before', async (t) => {
  await t.test('on a plain connection', async (t) => {
    const peer = createPeer();
    const port = await listen(t, createTcpServer(peer.onSocket));
    const gap = await gapBetweenPackets(t, peer, 'tcp', port);
    ok(gap < DELAYED_ACK_MS / 2, `${gap} ms`);
  });
  await t.test('under TLS', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'transport-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const { caFile, serverCertPem: cert, serverKeyPem: key } = await createCertificates(folder);
    const peer = createPeer();
    const server = createTlsServer({ cert, key }, peer.onSocket);
    const gap = await gapBetweenPackets(t, peer, 'tls', await listen(t, server), caFile);
    ok(gap < DELAYED_ACK_MS / 2, `${gap} ms`);
  });
});
