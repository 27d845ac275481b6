import type { Duplex } from 'node:stream';
import mqtt, { type Packet, type Parser } from 'mqtt-packet';
import { Framer } from './framer.ts';
import type { Session } from './session-store.ts';

/** Largest packet that edgeHub takes. */
const maxPacketBytes = 262_144;
/** Packets taken in and not yet worked on; beyond, reading pauses. */
const maxPendingInbound = 16;
/** How long a client may take to close its side after ours. */
const lingerMs = 2000;

export interface ConnectionOptions {
  readonly stream: Duplex;
  /** Ends the connection with a TCP reset. */
  readonly reset: () => void;
  readonly onPacket: (connection: Connection, packet: Packet) => void;
  readonly onClose: (connection: Connection) => void;
  readonly onProblem: (connection: Connection, problem: string) => void;
}

/** One client's connection: bytes to packets and back, in order. What packets mean is for the handlers. */
export class Connection {
  /** Set when CONNECT is accepted. */
  client: { readonly moduleId: string; readonly token: string; readonly session: Session } | undefined;
  keepAliveMs = 0;
  /** Published when the connection ends without DISCONNECT. */
  will: { readonly topic: string; readonly payload: Buffer } | undefined;
  lastPacketAt = performance.now();
  readonly #options: ConnectionOptions;
  readonly #framer = new Framer(maxPacketBytes);
  readonly #parser: Parser = mqtt.parser();
  readonly #inbound: Packet[] = [];
  readonly #acks = new Map<number, (acknowledged: boolean) => void>();
  #frozenOutput: Buffer[] | null = null;
  #lastPacketId = 0;
  #closed = false;
  #released = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#parser.on('packet', (packet) => void this.#inbound.push(packet));
    this.#parser.on('error', (error: unknown) => {
      this.#problem(
        `sent bytes that are no MQTT packet (${error instanceof Error ? error.message : 'unreadable'})`,
      );
    });
    const { stream } = options;
    stream.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    stream.on('error', () => {
      stream.destroy();
    });
    stream.on('end', () => {
      this.close();
    });
    stream.on('close', () => {
      this.#closed = true;
      this.#release();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(packet: Packet): void {
    if (this.#closed) return;
    const bytes = mqtt.generate(packet);
    if (this.#frozenOutput === null) this.#options.stream.write(bytes);
    else this.#frozenOutput.push(bytes);
  }

  /**
   * Publishes with the quality of service of the subscription. Tells whether the client acknowledged; false when the connection
   * ends first. Nothing is sent, and undefined answered, when no subscription matches.
   */
  publish(topic: string, payload: Buffer | string): Promise<boolean> | undefined {
    const qos = this.client?.session.qosFor(topic);
    if (qos === undefined || this.#closed) return undefined;
    const packet = { cmd: 'publish' as const, topic, payload, dup: false, retain: false };
    if (qos === 0) {
      this.send({ ...packet, qos });
      return Promise.resolve(true);
    }
    const messageId = this.#nextPacketId();
    const acknowledged = new Promise<boolean>((resolve) => this.#acks.set(messageId, resolve));
    this.send({ ...packet, qos, messageId });
    return acknowledged;
  }

  acknowledged(messageId: number): void {
    this.#acks.get(messageId)?.(true);
    this.#acks.delete(messageId);
  }

  /** Stops taking packets and writing bytes, as a process that hangs; what is to be sent waits. */
  freeze(): void {
    this.#frozenOutput ??= [];
  }

  thaw(): void {
    const waiting = this.#frozenOutput ?? [];
    this.#frozenOutput = null;
    for (const bytes of waiting) this.#options.stream.write(bytes);
    this.#drain();
  }

  get frozen(): boolean {
    return this.#frozenOutput !== null;
  }

  /** Sends what is written and a FIN. The client's part counts as gone at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { stream } = this.#options;
    stream.end();
    setTimeout(() => stream.destroy(), lingerMs).unref();
    this.#release();
  }

  reset(): void {
    this.#closed = true;
    this.#options.reset();
    this.#release();
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      for (const frame of this.#framer.push(chunk)) this.#parser.parse(frame);
    } catch (error) {
      this.#problem(`sent ${error instanceof Error ? error.message : 'unreadable bytes'}`);
      return;
    }
    this.#drain();
  }

  #drain(): void {
    const { stream } = this.#options;
    while (!this.frozen && !this.#closed) {
      const packet = this.#inbound.shift();
      if (packet === undefined) break;
      this.lastPacketAt = performance.now();
      this.#options.onPacket(this, packet);
    }
    if (this.#inbound.length >= maxPendingInbound) stream.pause();
    else if (stream.isPaused()) stream.resume();
  }

  #problem(problem: string): void {
    if (this.#closed) return;
    this.#options.onProblem(this, problem);
    this.close();
  }

  /** Ids of 14 bits, as edgeHub gives them; those in flight are left out. */
  #nextPacketId(): number {
    do this.#lastPacketId = (this.#lastPacketId % 0x4000) + 1;
    while (this.#acks.has(this.#lastPacketId));
    return this.#lastPacketId;
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const resolve of this.#acks.values()) resolve(false);
    this.#acks.clear();
    this.#options.onClose(this);
  }
}
