import type { Clock, Log } from '@iotedge-redis/common';
import { errorText, systemClock } from '@iotedge-redis/common';
import { BrokerConnections } from './broker-connections.ts';
import type { ConnectionEnd } from './broker-connections.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { sendControl } from './control-message.ts';
import { Flights } from './flights.ts';
import { MessageEncoder } from './message-encoder.ts';
import { LAST_OWN_ID, LIBRARY_WINDOW } from './message-ids.ts';
import type { BrokerAddress } from './mqtt-address.ts';
import { hex, outcomeOf, reasonText } from './mqtt-outcome.ts';
import { packetSize, propertiesFor } from './mqtt-properties.ts';
import type { PropertyRules } from './mqtt-properties.ts';
import { publishStatus } from './mqtt-session.ts';
import type { Session, SessionOptions } from './mqtt-session.ts';
import type { Message, Refusal, Sink, SinkEvents, SinkStatus } from '../sink/sink.ts';

export interface MqttSinkOptions extends SessionOptions {
  /** Tried in turn. */
  readonly addresses: readonly BrokerAddress[];
  readonly publishTimeoutMs: number;
  readonly properties: PropertyRules;
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** Half of the packet identifiers, so that a free one is always near. */
const MAX_WINDOW = LAST_OWN_ID / 2;
const STOP_STATUS_MS = 1000;

/** Publishes to one of several brokers, one connection after the other; what is in flight is lost with its connection. */
export class MqttSink<K> implements Sink<K> {
  readonly #options: MqttSinkOptions;
  readonly #clock: Clock;
  readonly #connections: BrokerConnections;
  readonly #stopping = new AbortController();
  readonly #inFlight = new Flights<K>();
  readonly #encoder: MessageEncoder;
  #events: SinkEvents<K> | undefined;
  #session: Session | undefined;
  #running: Promise<void> | undefined;
  #sessionAcks = 0;
  #controlAt: number | undefined;
  #recycleReason = '';

  constructor(options: MqttSinkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#encoder = new MessageEncoder({
      rules: options.protocol === 5 ? options.properties : undefined,
      qos: options.qos,
      retain: options.retain,
    });
    const { addresses, log, random } = options;
    this.#connections = new BrokerConnections({
      addresses,
      session: options,
      log,
      clock: this.#clock,
      ...(random === undefined ? {} : { random }),
    });
  }

  get place(): string {
    return (this.#session?.address ?? this.#options.addresses[0])?.text ?? '';
  }

  get status(): SinkStatus {
    return this.#connections.status;
  }

  get window(): number {
    const most = this.#options.qos === 2 ? LIBRARY_WINDOW : MAX_WINDOW;
    return Math.min(this.#session?.limits.receiveMaximum ?? 0, most);
  }

  start(events: SinkEvents<K>): void {
    this.#events = events;
    this.#running = this.#connections
      .run(this.#stopping.signal, {
        use: (session) => this.#use(session),
        lost: (reason) => events.lost(reason),
        failed: () => events.changed(),
      })
      .catch(() => undefined);
  }

  refusal(message: Message): Refusal | undefined {
    const limit = this.#session?.limits.maximumPacketSize;
    if (limit === undefined || atMost(message) < limit) return undefined;
    const { qos } = this.#options;
    const size = packetSize(message.topic, message.payload.length, qos, this.#propertiesOf(message));
    if (size <= limit) return undefined;
    return { code: 'TOO_LARGE', text: `the packet has ${size} bytes and the broker takes ${limit}` };
  }

  publish(key: K, message: Message): void {
    const session = this.#session;
    if (session === undefined) return;
    if (this.#options.qos === 2) {
      this.#publishByLibrary(session, key, message);
      return;
    }
    const now = this.#clock.now();
    if (this.#options.qos === 0) {
      session.stream.publish(this.#encoder.parts(message, undefined, now));
      // By then it has been written to the socket.
      setImmediate(() => {
        if (this.#session === session) this.#answer(key, 0);
      });
      return;
    }
    const messageId = this.#inFlight.add(key, now);
    session.stream.publish(this.#encoder.parts(message, messageId, now));
  }

  /** QoS 2 takes four packets; the library knows them. */
  #publishByLibrary(session: Session, key: K, message: Message): void {
    const { qos, retain } = this.#options;
    const flight = this.#inFlight.add(key, this.#clock.now());
    const properties = this.#propertiesOf(message);
    session.client.publish(
      message.topic,
      message.payload,
      properties === undefined ? { qos, retain } : { qos, retain, properties },
      (error) => {
        // An answer after the loss was announced belongs to a message that is on its way again.
        if (this.#session !== session || this.#inFlight.get(flight) === undefined) return;
        const code = error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
        if (error && code === undefined) {
          this.recycle(errorText(error));
          return;
        }
        if (outcomeOf(code ?? 0) !== 'again') this.#inFlight.delete(flight);
        this.#answer(key, code ?? 0);
      },
    );
  }

  #acknowledged(messageId: number, code: number): void {
    const flight = this.#inFlight.get(messageId);
    if (flight === undefined) return;
    // What is to be tried again stays in flight, so that it counts among what this connection lost.
    if (outcomeOf(code) !== 'again') this.#inFlight.delete(messageId);
    this.#answer(flight.key, code);
  }

  control(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#controlAt = this.#clock.now();
    sendControl(session, this.#options, () => {
      if (this.#session !== session || this.#controlAt === undefined) return;
      this.#controlAt = undefined;
      this.#sessionAcks += 1;
      this.#events?.controlPassed();
    });
  }

  recycle(reason: string): void {
    // Ending answers what is in flight with an error each, which says less than why it was ended.
    if (this.#recycleReason === '') this.#recycleReason = reason;
    this.#session?.client.end(true);
  }

  async stop(signal: AbortSignal): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const session = this.#session;
    this.#session = undefined;
    this.#stopping.abort();
    this.#connections.stopped();
    if (session !== undefined) {
      const wait = AbortSignal.any([signal, AbortSignal.timeout(STOP_STATUS_MS)]);
      // Only an ordinary DISCONNECT keeps the broker from sending the will as well.
      const farewell = publishStatus(session, this.#options, 'offline').then(() => session.client.endAsync());
      await Promise.race([farewell.catch(() => undefined), aborted(wait)]);
      session.client.end(true);
    }
    await this.#running;
  }

  #propertiesOf(message: Message): ReturnType<typeof propertiesFor> | undefined {
    return this.#options.protocol === 5
      ? propertiesFor(message, this.#options.properties, this.#clock.now())
      : undefined;
  }

  #answer(key: K, code: number): void {
    const outcome = outcomeOf(code);
    if (outcome === 'accepted') {
      this.#sessionAcks += 1;
      this.#events?.acked(key);
    } else if (outcome === 'refused') {
      this.#events?.refused(key, { code: hex(code), text: `the broker refused it: ${reasonText(code)}` });
    } else this.recycle(`the broker answered ${hex(code)}, ${reasonText(code)}`);
  }

  /** Until the connection ends. */
  async #use(session: Session): Promise<ConnectionEnd> {
    this.#session = session;
    session.stream.splitter = new FrameSplitter(
      (messageId) => messageId <= LAST_OWN_ID,
      (messageId, code) => {
        if (this.#session === session) this.#acknowledged(messageId, code);
      },
    );
    this.#sessionAcks = 0;
    this.#controlAt = undefined;
    this.#recycleReason = '';
    const stopWatching = this.#watch();
    let reason: string;
    try {
      this.#events?.ready();
      reason = await session.ended;
    } finally {
      stopWatching();
      if (this.#session === session) this.#session = undefined;
      this.#inFlight.clear();
    }
    return {
      reason: this.#recycleReason === '' ? reason : this.#recycleReason,
      wasUseful: this.#sessionAcks > 0,
    };
  }

  #watch(): () => void {
    const limit = this.#options.publishTimeoutMs;
    let cancel = (): void => undefined;
    const look = (): void => {
      const since = Math.min(this.#inFlight.oldestAt, this.#controlAt ?? Infinity);
      if (this.#clock.now() - since >= limit) this.recycle(`no PUBACK within ${limit} ms`);
      cancel = this.#clock.after(Math.max(20, limit / 8), look);
    };
    look();
    return () => cancel();
  }
}

/** More than the packet can have: a unit of UTF-16 takes three bytes at most, and what else it holds is short. */
function atMost({ payload, topic, label }: Message): number {
  return payload.length + (topic.length + label.length) * 3 + 1024;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
