import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { MethodCall, MethodOutcome } from '../hub/hub-api.ts';
import type { HubCore } from '../hub/hub.ts';
import type { EdgeHubLink } from '../hub/edge-hub-link.ts';
import { checkToken } from './authentication.ts';
import type { Broker } from './broker.ts';
import { Connection } from './connection.ts';
import { ConnectionRegistry } from './connection-registry.ts';
import { noConfig, parseEdgeHubConfig, type EdgeHubConfig } from './edge-hub-config.ts';
import { defaultLimits, type EdgeHubLimits, type EdgeHubOptions } from './edge-hub-options.ts';
import { handlePacket } from './handlers/index.ts';
import { handleMethodRequest } from './method-http.ts';
import { MethodInvoker } from './method-invoker.ts';
import { InputDispatcher } from './queue/input-dispatcher.ts';
import { MessageStore } from './queue/message-store.ts';
import { Router } from './router.ts';
import { SessionStore } from './session-store.ts';
import { TlsListener } from './tls-listener.ts';
import { TwinEndpoint } from './twin-endpoint.ts';
import { createUpgradeHandler } from './web-socket.ts';
import { publishWill } from './will.ts';

export type { EdgeHubLimits, EdgeHubOptions } from './edge-hub-options.ts';

const silenceCheckMs = 500;

/** edgeHub: MQTT for the modules, routes and the queue between them. */
export class EdgeHub implements EdgeHubLink {
  readonly #hub: HubCore;
  readonly #limits: EdgeHubLimits;
  readonly #listener: TlsListener;
  readonly #store: MessageStore;
  readonly #broker: Broker;
  readonly #watches: (() => void)[] = [];
  /** MQTT over WebSocket, for the `upgrade` event of the HTTPS server. */
  readonly handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: EdgeHubOptions) {
    const { hub, certificates } = options;
    const now = options.now ?? Date.now;
    const { log } = hub;
    this.#hub = hub;
    this.#limits = { ...defaultLimits, ...options.limits };
    const registry = new ConnectionRegistry();
    this.#store = new MessageStore(join(hub.stateDir, 'queue.ndjson'));
    const { ackTimeoutMs, methodSettleMs } = this.#limits;
    const dispatcher = new InputDispatcher({
      deviceId: hub.deviceId,
      store: this.#store,
      registry,
      now,
      log,
      ackTimeoutMs,
    });
    const router = new Router({ hub, dispatcher, config: this.#readConfig(), now, log });
    this.#broker = {
      hub,
      log,
      registry,
      router,
      dispatcher,
      sessions: new SessionStore(join(hub.stateDir, 'sessions.json')),
      invoker: new MethodInvoker({ registry, log, settleMs: methodSettleMs }),
      twins: new TwinEndpoint({ hub, registry, router, log }),
      refuse: (connection, problem) => {
        log('warn', `${connection.client?.moduleId ?? 'a client'} ${problem}; its connection is closed`);
        connection.close();
      },
    };
    this.#listener = new TlsListener({
      key: certificates.serverKeyPem,
      cert: certificates.serverCertPem,
      host: options.host ?? '127.0.0.1',
      ...(options.alsoOn === undefined ? {} : { alsoOn: options.alsoOn }),
      port: options.port,
      log,
      onConnection: (socket, reset) => {
        this.#serve(socket, reset);
      },
    });
    this.handleUpgrade = createUpgradeHandler((stream, reset) => {
      this.#serve(stream, reset);
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Messages that matched no route, by `module/output`. */
  get unrouted(): ReadonlyMap<string, number> {
    return this.#broker.router.unrouted;
  }

  async start(): Promise<void> {
    const { twins, faults } = this.#hub;
    if (!faults.refuse) await this.#listener.open();
    this.#hub.attach(this);
    this.#watches.push(
      twins.onDesired((moduleId, patch, version) => {
        if (moduleId === '$edgeHub') this.#broker.router.configure(this.#readConfig());
        else this.#broker.twins.pushDesired(moduleId, patch, version);
      }),
      faults.onChange('refuse', (on) => {
        if (on) this.#listener.close();
        else void this.#reopen();
      }),
      faults.onChange('stall', (on) => {
        for (const connection of this.#broker.registry.connections) {
          if (on) connection.freeze();
          else connection.thaw();
        }
      }),
    );
    this.#timers.push(
      setInterval(() => {
        this.recheckTokens();
      }, this.#limits.reauthenticateMs).unref(),
      setInterval(() => {
        this.#closeSilent();
      }, silenceCheckMs).unref(),
    );
  }

  /** Closes every connection; sessions and queued messages stay for the next start. */
  stop(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    for (const unwatch of this.#watches.splice(0)) unwatch();
    this.#hub.detach();
    this.#listener.close();
    this.#broker.dispatcher.stop();
    this.drop('fin');
    this.#store.close();
    return Promise.resolve();
  }

  /** Method calls from one module to another: `POST /twins/D/modules/M/methods` with `x-ms-edge-moduleId`. */
  handleRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    return handleMethodRequest(this.#hub, request, response);
  }

  invoke(call: MethodCall): Promise<MethodOutcome> {
    return this.#broker.invoker.invoke(call);
  }

  drop(how: 'fin' | 'rst', moduleId?: string): void {
    for (const connection of this.#broker.registry.connections) {
      if (moduleId !== undefined && connection.client?.moduleId !== moduleId) continue;
      if (how === 'rst') connection.reset();
      else connection.close();
    }
  }

  loseSessions(): void {
    this.#broker.sessions.clear();
  }

  recheckTokens(): void {
    for (const connection of this.#broker.registry.connections) {
      const { client } = connection;
      if (client === undefined) continue;
      const verdict = checkToken(this.#hub, client.moduleId, client.token);
      if (verdict.ok) continue;
      this.#hub.log('info', `${client.moduleId} is disconnected: ${verdict.reason}`);
      connection.close();
    }
  }

  forget(moduleId: string): void {
    this.drop('fin', moduleId);
    this.#broker.sessions.forget(moduleId);
    this.#broker.dispatcher.forget(moduleId);
  }

  async #reopen(): Promise<void> {
    try {
      await this.#listener.open();
    } catch (error) {
      this.#hub.log('error', error instanceof Error ? error.message : 'edgeHub cannot listen again');
    }
  }

  #readConfig(): EdgeHubConfig {
    const desired = this.#hub.twins.get('$edgeHub')?.desired.properties ?? {};
    if (Object.keys(desired).length === 0) return noConfig;
    const { config, findings } = parseEdgeHubConfig(desired);
    for (const finding of findings) this.#hub.log('error', finding);
    return config;
  }

  #serve(stream: Duplex, reset: () => void): void {
    const { registry } = this.#broker;
    const connection = new Connection({
      stream,
      reset,
      onPacket: (from, packet) => {
        handlePacket(this.#broker, from, packet);
      },
      onProblem: (from, problem) => {
        this.#broker.log(
          'warn',
          `${from.client?.moduleId ?? 'a client'} ${problem}; its connection is closed`,
        );
      },
      onClose: (closed) => {
        this.#closed(closed);
      },
    });
    registry.add(connection);
    if (this.#hub.faults.stall) connection.freeze();
  }

  /** Closes clients that did not CONNECT in time, or were silent for longer than their keep-alive allows. */
  #closeSilent(): void {
    for (const connection of this.#broker.registry.connections) {
      if (connection.frozen) continue;
      const silentMs = performance.now() - connection.lastPacketAt;
      if (connection.client === undefined) {
        if (silentMs > this.#limits.connectArrivalMs)
          this.#broker.refuse(connection, 'sent no CONNECT in time');
      } else if (silentMs > connection.keepAliveMs) {
        this.#broker.refuse(connection, 'was silent beyond its keep-alive');
      }
    }
  }

  #closed(connection: Connection): void {
    const { registry, invoker } = this.#broker;
    const wasCurrent = registry.remove(connection);
    const { client, will } = connection;
    if (client === undefined) return;
    invoker.closed(connection);
    if (wasCurrent) this.#hub.identities.setConnected(client.moduleId, false);
    if (will !== undefined) publishWill(this.#broker, client.moduleId, will);
  }
}

/** edgeHub, not yet listening: `start` it. */
export function createEdgeHub(options: EdgeHubOptions): EdgeHub {
  return new EdgeHub(options);
}
