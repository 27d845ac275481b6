import type { Clock, Log, RedisScript } from '@iotedge-redis/common';
import { callScript, defineScript, errorText, sleep } from '@iotedge-redis/common';
import type { StreamSource } from './stream-source.ts';

const LEASE_MS = 15_000;
const RENEW_MS = 4000;
/** The holder stops well before the lease can be taken: clocks and networks are not exact. */
const MARGIN_MS = 4000;

const TAKE: RedisScript = defineScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);
const RELEASE: RedisScript = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`);

/** Lets one of several instances of a group work at a time. */
export class Lease {
  readonly #source: StreamSource;
  readonly #key: string;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChange: (isHeld: boolean) => void;
  #heldUntil = 0;
  #wasHeld = false;

  constructor(options: {
    readonly source: StreamSource;
    readonly holder: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly onChange: (isHeld: boolean) => void;
  }) {
    this.#source = options.source;
    this.#key = `iotedge-redis:stream-to-mqtt:1:lease:${options.source.group}`;
    this.#holder = options.holder;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  get isHeld(): boolean {
    return this.#clock.now() < this.#heldUntil;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const asked = this.#clock.now();
      try {
        if (await this.#call(TAKE, [this.#holder, LEASE_MS])) this.#heldUntil = asked + LEASE_MS - MARGIN_MS;
        else this.#heldUntil = 0;
      } catch (error) {
        this.#log.debug('the lease could not be renewed', { error: errorText(error) });
      }
      if (this.isHeld !== this.#wasHeld) {
        this.#wasHeld = this.isHeld;
        this.#log.info(
          this.isHeld ? 'this instance is the active one' : 'another instance is the active one',
          { group: this.#source.group },
        );
        this.#onChange(this.isHeld);
      }
      await sleep(this.isHeld ? RENEW_MS : RENEW_MS / 4, signal, this.#clock).catch(() => undefined);
    }
  }

  /** Gives it back, so that the next one need not wait for its end. */
  async release(): Promise<void> {
    if (!this.isHeld) return;
    this.#heldUntil = 0;
    await this.#call(RELEASE, [this.#holder]).catch(() => false);
  }

  async #call(script: RedisScript, args: readonly (string | number)[]): Promise<boolean> {
    return (
      (await this.#source.commands.run('renewing the lease', (client) =>
        callScript(client, script, [this.#key], args),
      )) === 1
    );
  }
}
