import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { EdgeLog } from '../edge-log.ts';
import { EdgeError } from '../errors.ts';

export interface TlsListenerOptions {
  readonly key: string;
  readonly cert: string;
  readonly host: string;
  readonly alsoOn?: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly log: EdgeLog;
  /** `reset` ends the connection with a TCP reset, under the TLS layer. */
  readonly onConnection: (socket: TLSSocket, reset: () => void) => void;
}

/** MQTT over TLS on one port of the IPv4 loopback and, where there is one, of the IPv6 loopback. It can be closed and opened again. */
export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #raw = new Map<string, Socket>();
  #servers: Server[] = [];
  #port: number;

  constructor(options: TlsListenerOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  get port(): number {
    return this.#port;
  }

  async open(): Promise<void> {
    if (this.#servers.length > 0) return;
    const { host, alsoOn } = this.#options;
    const address = (await this.#listen(host)).address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
    if (host === '127.0.0.1') await this.#openIpv6();
    if (alsoOn !== undefined) await this.#listen(alsoOn);
  }

  /** Ends listening at once; open connections stay. */
  close(): void {
    for (const server of this.#servers) server.close();
    this.#servers = [];
  }

  async #listen(host: string): Promise<Server> {
    const server = this.#create();
    try {
      server.listen(this.#port, host);
      await once(server, 'listening');
    } catch (cause) {
      this.close();
      throw new EdgeError(
        'PORT_IN_USE',
        `edgeHub cannot listen on ${host}:${this.#port} (${codeOf(cause)}); free the port or choose another.`,
        { cause },
      );
    }
    this.#servers.push(server);
    return server;
  }

  async #openIpv6(): Promise<void> {
    const second = this.#create();
    try {
      second.listen(this.#port, '::1');
      await once(second, 'listening');
      this.#servers.push(second);
    } catch (cause) {
      this.#options.log('debug', `edgeHub does not listen on [::1]:${this.#port} (${codeOf(cause)})`);
    }
  }

  #create(): Server {
    const { key, cert, onConnection, log } = this.#options;
    const server = createServer({ key, cert, minVersion: 'TLSv1.2' });
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      this.#raw.set(peer, socket);
      socket.once('close', () => this.#raw.delete(peer));
    });
    server.on('secureConnection', (socket) => {
      socket.setNoDelay(true);
      const raw = this.#raw.get(peerOf(socket));
      onConnection(socket, () => {
        if (raw === undefined) socket.destroy();
        else raw.resetAndDestroy();
      });
    });
    server.on('tlsClientError', (error) => {
      // a bare connect and close is a probe; a client that does not trust the CA is worth a line
      log(
        codeOf(error) === 'ECONNRESET' ? 'debug' : 'info',
        `a TLS handshake with edgeHub failed: ${error.message}`,
      );
    });
    return server;
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
}
