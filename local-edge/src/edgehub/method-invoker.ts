import type { EdgeLog } from '../edge-log.ts';
import type { JsonValue, MethodCall, MethodOutcome } from '../hub/hub-api.ts';
import type { Connection } from './connection.ts';
import type { ConnectionRegistry } from './connection-registry.ts';
import { methodTopic } from './topics.ts';

/** edgeHub lets a late subscription settle before it sends what was held. */
const settleMs = 3000;
/** The status of a reply whose status is no number. */
const genericBadRequest = 400_000;

interface Held {
  readonly call: MethodCall;
  readonly settle: (outcome: MethodOutcome) => void;
}

/** Sends direct methods to connected modules and matches the replies. */
export class MethodInvoker {
  readonly #registry: ConnectionRegistry;
  readonly #log: EdgeLog;
  readonly #settleMs: number;
  readonly #held = new Map<string, Set<Held>>();
  readonly #waiting = new Map<string, { connection: Connection; settle: (outcome: MethodOutcome) => void }>();

  constructor(options: { registry: ConnectionRegistry; log: EdgeLog; settleMs?: number }) {
    this.#registry = options.registry;
    this.#log = options.log;
    this.#settleMs = options.settleMs ?? settleMs;
  }

  invoke(call: MethodCall): Promise<MethodOutcome> {
    const connection = this.#registry.subscribed(call.moduleId, 'methods');
    return connection === undefined ? this.#hold(call) : this.#send(connection, call);
  }

  /** The module has subscribed to methods (again): held calls follow one after another. */
  subscribed(moduleId: string): void {
    if (!this.#held.has(moduleId)) return;
    setTimeout(() => void this.#release(moduleId), this.#settleMs).unref();
  }

  reply(moduleId: string, requestId: string, status: string, payload: Buffer): void {
    const key = requestId.toLowerCase();
    const waiting = this.#waiting.get(key);
    if (waiting?.connection.client?.moduleId !== moduleId) {
      this.#log('debug', `${moduleId} answered a method request that nobody waits for`);
      return;
    }
    waiting.settle(
      /^-?\d+$/.test(status)
        ? { kind: 'reply', status: Number(status), payload: this.#parse(moduleId, payload) }
        : { kind: 'reply', status: genericBadRequest, payload: null },
    );
  }

  /** Whoever waits for this connection waits in vain. */
  closed(connection: Connection): void {
    for (const [requestId, waiting] of this.#waiting) {
      if (waiting.connection === connection) waiting.settle({ kind: 'timeout', requestId });
    }
  }

  #send(connection: Connection, call: MethodCall): Promise<MethodOutcome> {
    const requestId = crypto.randomUUID();
    if (connection.closed) return Promise.resolve({ kind: 'timeout', requestId });
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        settle({ kind: 'timeout', requestId });
      }, call.responseTimeoutMs);
      const settle = (outcome: MethodOutcome): void => {
        clearTimeout(timer);
        this.#waiting.delete(requestId);
        resolve(outcome);
      };
      this.#waiting.set(requestId, { connection, settle });
      // never an empty body: "no payload" is the text null
      void connection.publish(methodTopic(call.methodName, requestId), JSON.stringify(call.payload));
    });
  }

  #hold(call: MethodCall): Promise<MethodOutcome> {
    return new Promise((resolve) => {
      const queue = this.#held.get(call.moduleId) ?? new Set<Held>();
      this.#held.set(call.moduleId, queue);
      const timer = setTimeout(() => {
        if (this.#take(call.moduleId, held)) resolve({ kind: 'notOnline' });
      }, call.connectTimeoutMs);
      const held: Held = {
        call,
        settle: (outcome) => {
          clearTimeout(timer);
          resolve(outcome);
        },
      };
      queue.add(held);
    });
  }

  async #release(moduleId: string): Promise<void> {
    const connection = this.#registry.subscribed(moduleId, 'methods');
    if (connection === undefined) return;
    for (const held of this.#held.get(moduleId) ?? []) {
      if (!this.#take(moduleId, held)) continue;
      held.settle(await this.#send(connection, held.call));
    }
  }

  /** True for whoever takes it first: the time-out or the late subscription. */
  #take(moduleId: string, held: Held): boolean {
    const queue = this.#held.get(moduleId);
    const taken = queue?.delete(held) ?? false;
    if (queue?.size === 0) this.#held.delete(moduleId);
    return taken;
  }

  #parse(moduleId: string, payload: Buffer): JsonValue {
    if (payload.length === 0) return null;
    const text = payload.toString('utf8');
    try {
      return JSON.parse(text) as JsonValue;
    } catch {
      this.#log('warn', `the method reply of ${moduleId} is no JSON; it is passed on as a text`);
      return text;
    }
  }
}
