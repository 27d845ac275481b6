import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to the bytes that come back from the server; the way there is always clear. */
export type Fault =
  | { readonly kind: 'none' }
  /**
   * Resets the connection when so many bytes have passed, counted from when the fault was set. What the client has not been given of
   * them by then is lost with it: as much as the buffers in between hold.
   */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Ends the connection in good order after so many bytes: all of them arrive. */
  | { readonly kind: 'end'; readonly afterBytes: number }
  /** Says nothing more after so many bytes, and keeps the connection open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Lets this many bytes pass per second, in small pieces. */
  | { readonly kind: 'trickle'; readonly bytesPerSecond: number }
  /** Changes one byte, this many bytes from now. */
  | { readonly kind: 'flip'; readonly afterBytes: number }
  /** Accepts and closes at once. */
  | { readonly kind: 'refuse' };

export interface FaultProxy {
  readonly port: number;
  /** Bytes that went from the server to the client. */
  readonly passedBytes: number;
  readonly connections: number;
  /** Holds from now on for all connections; a cut, an end, a stall and a flip happen once. */
  set(fault: Fault): void;
  /** Breaks every connection there is. */
  breakAll(): void;
  close(): Promise<void>;
}

const TICK_MS = 20;

/** A TCP proxy on loopback between a client and a real server that can make the link as bad as wanted. */
export async function startFaultProxy(
  t: TestContext | undefined,
  target: { readonly port: number },
): Promise<FaultProxy> {
  let fault: Fault = { kind: 'none' };
  let countdown = 0;
  let passedBytes = 0;
  let connections = 0;
  const sockets = new Set<Socket>();

  const carry = async (upstream: Socket, client: Socket): Promise<void> => {
    let isStalled = false;
    const send = async (bytes: Buffer): Promise<void> => {
      passedBytes += bytes.length;
      if (!client.write(bytes)) await Promise.race([once(client, 'drain'), once(client, 'close')]);
    };
    for await (const chunk of upstream as AsyncIterable<Buffer>) {
      let rest = chunk;
      while (rest.length > 0 && !client.destroyed) {
        if (isStalled) {
          await stalled(client);
          return;
        }
        if (fault.kind === 'trickle') {
          const size = Math.max(1, Math.floor((fault.bytesPerSecond * TICK_MS) / 1000));
          await send(rest.subarray(0, size));
          rest = rest.subarray(size);
          await sleep(TICK_MS);
          continue;
        }
        if (fault.kind === 'none' || fault.kind === 'refuse' || countdown > rest.length) {
          countdown -= rest.length;
          await send(rest);
          break;
        }
        const { kind } = fault;
        const head = rest.subarray(0, countdown);
        const tail = rest.subarray(countdown);
        fault = { kind: 'none' };
        await send(head);
        if (kind === 'cut') {
          client.resetAndDestroy();
          return;
        }
        if (kind === 'end') {
          client.end();
          return;
        }
        if (kind === 'stall') isStalled = true;
        if (kind === 'flip' && tail.length > 0) tail[0] = (tail[0] ?? 0) ^ 0xff;
        rest = tail;
      }
    }
    client.end();
  };

  const server = createServer((client) => {
    connections += 1;
    if (fault.kind === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(target.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('close', () => upstream.destroy());
    client.pipe(upstream);
    carry(upstream, client).catch(() => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  t?.after(close);
  return {
    port: address.port,
    get passedBytes() {
      return passedBytes;
    },
    get connections() {
      return connections;
    },
    set(next) {
      fault = next;
      countdown = 'afterBytes' in next ? next.afterBytes : 0;
    },
    breakAll() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close,
  };
}

async function stalled(client: Socket): Promise<void> {
  if (!client.destroyed) await once(client, 'close');
}
