import type { EdgeLog } from '../edge-log.ts';
import type { HubCore } from '../hub/hub.ts';
import type { Connection } from './connection.ts';
import type { ConnectionRegistry } from './connection-registry.ts';
import type { MethodInvoker } from './method-invoker.ts';
import type { InputDispatcher } from './queue/input-dispatcher.ts';
import type { Router } from './router.ts';
import type { SessionStore } from './session-store.ts';
import type { TwinEndpoint } from './twin-endpoint.ts';

/** What the packet handlers work with. */
export interface Broker {
  readonly hub: HubCore;
  readonly log: EdgeLog;
  readonly sessions: SessionStore;
  readonly registry: ConnectionRegistry;
  readonly router: Router;
  readonly dispatcher: InputDispatcher;
  readonly invoker: MethodInvoker;
  readonly twins: TwinEndpoint;
  /** Closes a connection for a breach of the protocol; the log says which. */
  refuse(connection: Connection, problem: string): void;
}

/** A connection whose CONNECT was accepted. */
export type ConnectedClient = NonNullable<Connection['client']>;
