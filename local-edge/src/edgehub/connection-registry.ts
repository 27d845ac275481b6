import type { Connection } from './connection.ts';
import type { SubscriptionKind } from './subscriptions.ts';

/** Who is connected: all connections, and the one of each module. */
export class ConnectionRegistry {
  readonly #all = new Set<Connection>();
  readonly #byModule = new Map<string, Connection>();

  add(connection: Connection): void {
    this.#all.add(connection);
  }

  /** Makes a connection the one of its module and answers the older one, which is to be closed. */
  bind(moduleId: string, connection: Connection): Connection | undefined {
    const older = this.#byModule.get(moduleId);
    this.#byModule.set(moduleId, connection);
    return older === connection ? undefined : older;
  }

  /** True when the connection was the one of its module. */
  remove(connection: Connection): boolean {
    this.#all.delete(connection);
    const moduleId = connection.client?.moduleId;
    if (moduleId === undefined || this.#byModule.get(moduleId) !== connection) return false;
    this.#byModule.delete(moduleId);
    return true;
  }

  get connections(): readonly Connection[] {
    return [...this.#all];
  }

  get clientCount(): number {
    return this.#byModule.size;
  }

  of(moduleId: string): Connection | undefined {
    return this.#byModule.get(moduleId);
  }

  /** The module's connection when it has subscribed to this kind of traffic. */
  subscribed(moduleId: string, kind: SubscriptionKind): Connection | undefined {
    const connection = this.#byModule.get(moduleId);
    return connection?.client?.session.has(kind) === true ? connection : undefined;
  }
}
