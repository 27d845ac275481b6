import type { Held } from '../flow/lane.ts';

/** A message on its way out, with the position it came from. */
export interface Message extends Held {
  readonly stream: string;
  /** The stream's name in characters that MQTT allows. */
  readonly label: string;
  readonly db: number;
  /** The entry's id; the acknowledgement and the subscriber's deduplication go by it. */
  readonly id: string;
  readonly topic: string;
  readonly payload: Buffer;
  /** The payload is a JSON object, not the bytes of a field. */
  readonly isJson: boolean;
  /** What it costs on the wire, nearly: topic and payload. */
  readonly bytes: number;
  /** It may have been published before: by this bridge before a restart, or by another one. */
  readonly redelivered: boolean;
}

/** Why a sink does not take a message and never will. */
export interface Refusal {
  /** `0x87` for an MQTT reason code, else one word. */
  readonly code: string;
  readonly text: string;
}

/** What a sink tells the bridge; `key` is what the message was published with. */
export interface SinkEvents<K> {
  ready(): void;
  /** The status has another reason. `ready` and `lost` tell of the other changes. */
  changed(): void;
  /** Nothing that was in flight will be answered any more. */
  lost(reason: string): void;
  acked(key: K): void;
  refused(key: K, refusal: Refusal): void;
  controlPassed(): void;
}

export interface SinkStatus {
  readonly state: 'connecting' | 'ready' | 'down' | 'stopped';
  readonly reason?: string;
  readonly since: Date;
}

/** Takes messages out; keeps itself connected from `start` to `stop`. */
export interface Sink<K> {
  readonly place: string;
  readonly status: SinkStatus;
  /** Most messages in flight that the other side takes; known when ready. */
  readonly window: number;
  start(events: SinkEvents<K>): void;
  /** Known before sending that the other side would refuse it. */
  refusal(message: Message): Refusal | undefined;
  /** Only while ready and below the window. Answered by `acked`, `refused` or, with all others, `lost`. */
  publish(key: K, message: Message): void;
  /** Sends something that is known to be good; answered by `controlPassed` or `lost`. */
  control(): void;
  /** Gives the connection up and makes a new one. */
  recycle(reason: string): void;
  stop(signal: AbortSignal): Promise<void>;
}
