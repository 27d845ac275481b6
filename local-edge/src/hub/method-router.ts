import { setTimeout as delay } from 'node:timers/promises';
import type { EdgeHubLink } from './edge-hub-link.ts';
import type { Identities, JsonValue, MethodCall, MethodOutcome, Methods } from './hub-api.ts';

interface Reply {
  status: number;
  payload: JsonValue;
}
type Handler = (name: string, payload: JsonValue) => Promise<Reply>;

/** Brings a direct method to its module: one that the local edge plays itself, or one behind edgeHub. */
export class MethodRouter implements Methods {
  readonly #identities: Identities;
  readonly #link: () => EdgeHubLink | undefined;
  readonly #played: (moduleId: string) => void;
  readonly #handlers = new Map<string, Handler>();

  constructor(options: {
    identities: Identities;
    link: () => EdgeHubLink | undefined;
    /** Told of each module that the local edge plays: such a module is always connected. */
    played: (moduleId: string) => void;
  }) {
    this.#identities = options.identities;
    this.#link = options.link;
    this.#played = options.played;
  }

  handle(moduleId: string, handler: Handler): void {
    this.#played(moduleId);
    this.#handlers.set(moduleId, handler);
  }

  async invoke(call: MethodCall): Promise<MethodOutcome> {
    const handler = this.#handlers.get(call.moduleId);
    if (handler !== undefined) return invokeHandler(handler, call);
    if (this.#identities.get(call.moduleId) === undefined) return { kind: 'notFound' };
    return this.#invokeLinked(call);
  }

  /** A call from another module: edgeHub does not tell an unknown module from one that is away, it waits for both. */
  invokeFromModule(call: MethodCall): Promise<MethodOutcome> {
    return this.#invokeLinked(call);
  }

  async #invokeLinked(call: MethodCall): Promise<MethodOutcome> {
    const link = this.#link();
    if (link !== undefined) return link.invoke(call);
    await delay(call.connectTimeoutMs);
    return { kind: 'notOnline' };
  }
}

async function invokeHandler(handler: Handler, call: MethodCall): Promise<MethodOutcome> {
  const ended = new AbortController();
  const late = delay(call.responseTimeoutMs, undefined, { signal: ended.signal }).then(
    (): MethodOutcome => ({ kind: 'timeout', requestId: crypto.randomUUID() }),
    (): MethodOutcome => ({ kind: 'notOnline' }),
  );
  const reply = handler(call.methodName, call.payload).then(
    ({ status, payload }): MethodOutcome => ({ kind: 'reply', status, payload }),
    (error: unknown): MethodOutcome => {
      // edgeAgent answers a failing request with 500 and the reason
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'reply', status: 500, payload: { message } };
    },
  );
  try {
    return await Promise.race([reply, late]);
  } finally {
    ended.abort();
  }
}
