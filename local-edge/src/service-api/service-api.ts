import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { EdgeError } from '../errors.ts';
import type { ServiceApiOptions } from './service-api-options.ts';
import type { ServiceDispatcher } from './dispatch.ts';
import { createDispatcher } from './dispatch.ts';

export interface ServiceApi {
  /** The port that it listens on; 0 before `start`. */
  readonly port: number;
  start(): Promise<void>;
  /** Listens on one more port (443), or on another address, with the same state; false when it is taken or not allowed. */
  listenAlso(port: number, host?: string): Promise<boolean>;
  stop(): Promise<void>;
}

interface Listening {
  readonly servers: readonly Server[];
  readonly port: number;
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function serverOf(options: ServiceApiOptions, dispatcher: ServiceDispatcher): Server {
  const { key, cert } = options.certificates;
  // Idle connections outlive the pause between two calls of a client, whose pooled socket would break otherwise.
  const server = createServer({ key, cert, minVersion: 'TLSv1.2', keepAliveTimeout: 120_000 });
  server.on('request', dispatcher.request);
  server.on('upgrade', dispatcher.upgrade);
  server.on('tlsClientError', (error) => {
    options.log?.('debug', `service API: a client failed the TLS handshake: ${error.message}`);
  });
  return server;
}

/**
 * Listens on one port of the IPv4 loopback and of the IPv6 one, since clients differ in which of them `localhost` is. A port that
 * somebody else has on one of the two is taken; a machine without IPv6 has one server.
 */
async function listenOnLoopback(create: () => Server, port: number, host: string): Promise<Listening> {
  const first = create();
  const actual = await listen(first, port, host);
  if (host !== '127.0.0.1') return { servers: [first], port: actual };
  const second = create();
  try {
    await listen(second, actual, '::1');
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE') return { servers: [first], port: actual };
    await close(first);
    throw error;
  }
  return { servers: [first, second], port: actual };
}

/** The REST side of IoT Hub on loopback, for unmodified service clients. */
export function createServiceApi(options: ServiceApiOptions): ServiceApi {
  const dispatcher = createDispatcher(options);
  const create = (): Server => serverOf(options, dispatcher);
  const servers: Server[] = [];
  let port = 0;
  return {
    get port() {
      return port;
    },
    async start() {
      if (servers.length > 0) throw new EdgeError('INTERNAL', 'the service API is started already');
      let listening: Listening;
      try {
        listening = await listenOnLoopback(create, options.port, options.host);
      } catch (error) {
        if (errorCode(error) !== 'EADDRINUSE') throw error;
        listening = await listenOnLoopback(create, 0, options.host);
        const instead = `listening on ${listening.port} instead`;
        options.log?.('warn', `service API: port ${options.port} is in use, ${instead}`);
      }
      servers.push(...listening.servers);
      port = listening.port;
    },
    async listenAlso(also, host = options.host) {
      try {
        servers.push(...(await listenOnLoopback(create, also, host)).servers);
      } catch (error) {
        if (['EADDRINUSE', 'EACCES', 'EPERM'].includes(errorCode(error))) return false;
        throw error;
      }
      return true;
    },
    async stop() {
      await Promise.all(servers.splice(0).map(close));
    },
  };
}
