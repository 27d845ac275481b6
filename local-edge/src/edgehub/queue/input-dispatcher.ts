import type { EdgeLog } from '../../edge-log.ts';
import type { ConnectionRegistry } from '../connection-registry.ts';
import { formatInputBag } from '../property-bag.ts';
import { inputTopic } from '../topics.ts';
import type { MessageStore, StoredMessage } from './message-store.ts';

export interface DispatcherOptions {
  readonly deviceId: string;
  readonly store: MessageStore;
  readonly registry: ConnectionRegistry;
  readonly now: () => number;
  readonly log: EdgeLog;
  readonly ackTimeoutMs: number;
}

/** How often messages whose time is over are looked for. */
const sweepMs = 30_000;

/**
 * Brings stored messages to the inputs of modules. As in edgeHub a module gets one message at a time, whatever the input, and the next
 * one after its PUBACK; without a PUBACK the message is sent again. What cannot be sent now waits until its time is over.
 */
export class InputDispatcher {
  readonly #options: DispatcherOptions;
  /** Waiting messages by module and input, each list in the order of delivery. */
  readonly #waiting = new Map<string, Map<string, StoredMessage[]>>();
  readonly #busy = new Set<string>();
  readonly #sweeper: NodeJS.Timeout;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    for (const stored of options.store.all) this.#insert(stored);
    this.#sweeper = setInterval(() => {
      this.#sweep();
    }, sweepMs).unref();
  }

  /** Bytes that wait for modules. */
  get storedBytes(): number {
    return this.#options.store.bytes;
  }

  enqueue(message: Omit<StoredMessage, 'id'>): void {
    const stored = this.#options.store.add(message);
    this.#insert(stored);
    this.wake(stored.moduleId);
  }

  /** Something changed for this module: it connected, it subscribed, a message came. */
  wake(moduleId: string): void {
    if (this.#busy.has(moduleId)) return;
    this.#busy.add(moduleId);
    void this.#run(moduleId).finally(() => {
      this.#busy.delete(moduleId);
      // what came while the last step ended
      if (!this.#stopped && this.#canSend(moduleId)) this.wake(moduleId);
    });
  }

  forget(moduleId: string): void {
    for (const list of this.#waiting.get(moduleId)?.values() ?? []) {
      for (const stored of list) this.#options.store.remove(stored.id);
    }
    this.#waiting.delete(moduleId);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#sweeper);
  }

  #canSend(moduleId: string): boolean {
    const inputs = this.#waiting.get(moduleId);
    return (
      inputs !== undefined &&
      inputs.size > 0 &&
      this.#options.registry.subscribed(moduleId, 'inputs') !== undefined
    );
  }

  async #run(moduleId: string): Promise<void> {
    while (!this.#stopped && this.#canSend(moduleId)) {
      // one round over the inputs, so that a full one does not hold up the others
      for (const input of [...(this.#waiting.get(moduleId)?.keys() ?? [])]) {
        const stored = this.#head(moduleId, input);
        if (stored === undefined) continue;
        const delivered = await this.#deliver(stored);
        if (delivered) this.#finish(stored);
        else if (!this.#canSend(moduleId)) return;
      }
    }
  }

  /** True when the message is done with. */
  async #deliver(stored: StoredMessage): Promise<boolean> {
    const { deviceId, registry, log } = this.#options;
    const connection = registry.subscribed(stored.moduleId, 'inputs');
    if (connection === undefined) return false;
    const { message } = stored;
    const bag = formatInputBag(message, { deviceId, moduleId: message.sender });
    const sent = connection.publish(inputTopic(deviceId, stored.moduleId, stored.input, bag), message.body);
    if (sent === undefined) {
      if (connection.closed) return false;
      // edgeHub gives up a message that the module's filters do not match
      log('warn', `message for ${stored.moduleId} is dropped: no filter matches input ${stored.input}`);
      return true;
    }
    const acknowledged = await withTimeout(sent, this.#options.ackTimeoutMs);
    if (acknowledged === undefined) {
      log(
        'warn',
        `no PUBACK from ${stored.moduleId} for a message to input ${stored.input}; sending it again`,
      );
    }
    return acknowledged === true;
  }

  #insert(stored: StoredMessage): void {
    const inputs = this.#waiting.get(stored.moduleId) ?? new Map<string, StoredMessage[]>();
    this.#waiting.set(stored.moduleId, inputs);
    const list = inputs.get(stored.input) ?? [];
    inputs.set(stored.input, list);
    let at = list.length;
    while (at > 0 && (list[at - 1]?.priority ?? 0) > stored.priority) at -= 1;
    list.splice(at, 0, stored);
  }

  #head(moduleId: string, input: string): StoredMessage | undefined {
    for (;;) {
      const stored = this.#waiting.get(moduleId)?.get(input)?.[0];
      if (stored === undefined || !this.#expired(stored)) return stored;
      this.#giveUp(stored);
    }
  }

  #expired(stored: StoredMessage): boolean {
    return stored.expires !== null && stored.expires < this.#options.now();
  }

  #giveUp(stored: StoredMessage): void {
    this.#options.log(
      'warn',
      `a message for input ${stored.input} of ${stored.moduleId} expired undelivered`,
    );
    this.#finish(stored);
  }

  #finish(stored: StoredMessage): void {
    this.#options.store.remove(stored.id);
    const inputs = this.#waiting.get(stored.moduleId);
    const list = inputs?.get(stored.input);
    const at = list?.indexOf(stored) ?? -1;
    if (at >= 0) list?.splice(at, 1);
    if (list?.length === 0) inputs?.delete(stored.input);
  }

  #sweep(): void {
    for (const stored of this.#options.store.all) {
      if (this.#expired(stored) && !this.#busy.has(stored.moduleId)) this.#giveUp(stored);
    }
  }
}

/** Undefined when the time is over first. */
async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
