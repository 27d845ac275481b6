import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const TICK_MS = 20;

/** A TCP proxy on loopback that lets so many bytes per second pass to the server, over all connections together. Its port. */
export async function startSlowLink(
  t: TestContext,
  targetPort: number,
  bytesPerSecond: number,
): Promise<number> {
  const sockets = new Set<Socket>();
  let freeAt = Date.now();
  const carry = async (client: Socket, upstream: Socket): Promise<void> => {
    for await (const chunk of client as AsyncIterable<Buffer>) {
      const piece = Math.max(1, Math.floor((bytesPerSecond * TICK_MS) / 1000));
      for (let at = 0; at < chunk.length; at += piece) {
        const part = chunk.subarray(at, at + piece);
        const now = Date.now();
        freeAt = Math.max(now, freeAt) + (part.length * 1000) / bytesPerSecond;
        if (freeAt - now > 1) await sleep(freeAt - now);
        if (!upstream.write(part)) await Promise.race([once(upstream, 'drain'), once(upstream, 'close')]);
      }
    }
    upstream.end();
  };
  const server = createServer({ highWaterMark: 64 * 1024 }, (client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.pipe(client);
    carry(client, upstream).catch(() => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
