import type { Clock, RedisConnection } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { Gate } from './gate.ts';

const EVERY_MS = 2000;
const NAME = 'memory';

export interface MemoryMarks {
  readonly memoryHighPercent: number;
  readonly memoryLowPercent: number;
}

/**
 * Closes the gate while Redis is nearly full, by what Redis says it uses, and by nothing else: a look that fails changes
 * nothing. Without maxmemory there is nothing to guard; the answer OOM to a write is the last word in any case.
 */
export class MemoryGuard {
  readonly #connection: RedisConnection;
  readonly #gate: Gate;
  readonly #marks: () => MemoryMarks;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #usedPercent: number | undefined;

  constructor(
    connection: RedisConnection,
    gate: Gate,
    marks: () => MemoryMarks,
    clock: Clock,
    onChange: () => void,
  ) {
    this.#connection = connection;
    this.#gate = gate;
    this.#marks = marks;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Share of maxmemory in use, as of the last look; undefined without a limit. */
  get usedPercent(): number | undefined {
    return this.#usedPercent;
  }

  start(): void {
    const look = (): void =>
      void this.#look().then((isPossible) => {
        if (isPossible && !this.#isStopped) this.#cancel = this.#clock.after(EVERY_MS, look);
      });
    look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** False when this user may never look. */
  async #look(): Promise<boolean> {
    let info: string;
    try {
      info = await this.#connection.run('asking for the memory of Redis', (client) => client.info('memory'));
    } catch (error) {
      const isPassing = error instanceof SuiteError && error.retryable;
      if (!isPassing) this.#decide(undefined);
      return isPassing;
    }
    const used = number(info, 'used_memory');
    const max = number(info, 'maxmemory');
    this.#decide(max === 0 ? undefined : (used / max) * 100);
    return true;
  }

  #decide(percent: number | undefined): void {
    this.#usedPercent = percent;
    const { memoryHighPercent, memoryLowPercent } = this.#marks();
    const isClosed = this.#gate.reasons.has(NAME);
    if (!isClosed && percent !== undefined && percent > memoryHighPercent) {
      this.#gate.close(
        NAME,
        `Redis uses more than ${memoryHighPercent} % of its maxmemory; it goes on below ${memoryLowPercent} %`,
      );
      this.#onChange();
    } else if (isClosed && (percent === undefined || percent < memoryLowPercent)) {
      this.#gate.open(NAME);
      this.#onChange();
    }
  }
}

function number(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}
