import type { Clock, Log, Schedule } from '@iotedge-redis/common';
import { SuiteError, errorText, exponential, sleep } from '@iotedge-redis/common';
import { isAborted } from '../flow/is-aborted.ts';
import type { SinkStatus } from '../sink/sink.ts';
import type { BrokerAddress } from './mqtt-address.ts';
import { openSession } from './mqtt-session.ts';
import type { Session, SessionOptions } from './mqtt-session.ts';

export interface ConnectionsOptions {
  /** Tried in turn. */
  readonly addresses: readonly BrokerAddress[];
  readonly session: SessionOptions;
  readonly log: Log;
  readonly clock: Clock;
  readonly random?: () => number;
}

/** How a connection went that is gone. */
export interface ConnectionEnd {
  readonly reason: string;
  /** Something was acknowledged: the next attempt need not wait long. */
  readonly wasUseful: boolean;
}

/** What is done with connections. */
export interface ConnectionUse {
  /** Works with a connection; resolves when it is gone. */
  use(session: Session): Promise<ConnectionEnd>;
  /** It is gone, and the status says so. */
  lost(reason: string): void;
  /** An attempt failed for another reason than the one before. */
  failed(): void;
}

const RETRY = { firstMs: 100, maxMs: 10_000 };

/** Keeps one of several brokers connected, one connection after the other. */
export class BrokerConnections {
  readonly #options: ConnectionsOptions;
  readonly #schedule: Schedule;
  #status: SinkStatus;

  constructor(options: ConnectionsOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#schedule = exponential({ ...RETRY, ...(random === undefined ? {} : { random }) });
    this.#status = { state: 'connecting', since: new Date(clock.now()) };
  }

  get status(): SinkStatus {
    return this.#status;
  }

  stopped(): void {
    this.#become('stopped');
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal, user: ConnectionUse): Promise<void> {
    const { addresses, session: options, log, clock } = this.#options;
    let failures = 0;
    for (let turn = 0; !signal.aborted; turn += 1) {
      const address = addresses[turn % addresses.length];
      if (address === undefined) throw new SuiteError('INTERNAL', 'connecting to a broker: no address');
      try {
        const session = await openSession(address, options, signal, clock);
        if (isAborted(signal)) {
          session.client.end(true);
          return;
        }
        log.info('connected to the broker', { place: address.text, ...session.limits });
        this.#become('ready');
        const { reason, wasUseful } = await user.use(session);
        if (isAborted(signal)) return;
        if (wasUseful) failures = 0;
        log.warn('the connection to the broker is lost', { place: address.text, reason });
        this.#become('down', reason);
        user.lost(reason);
        // The address that worked is the first to be tried again.
        turn -= 1;
      } catch (error) {
        if (isAborted(signal)) return;
        this.#failed(address, errorText(error), user);
      }
      failures += 1;
      await sleep(this.#schedule(failures), signal, clock).catch(() => undefined);
    }
  }

  #failed(address: BrokerAddress, reason: string, user: ConnectionUse): void {
    const { log } = this.#options;
    const fields = { place: address.text, reason };
    const isNews = this.#status.reason !== reason;
    this.#become('down', reason);
    if (!isNews) {
      log.debug('the broker is still not available', fields);
      return;
    }
    log.warn('the broker is not available', fields);
    user.failed();
  }

  #become(state: SinkStatus['state'], reason?: string): void {
    if (this.#status.state === 'stopped') return;
    const since = this.#status.state === state ? this.#status.since : new Date(this.#options.clock.now());
    this.#status = { state, since, ...(reason === undefined ? {} : { reason }) };
  }
}
