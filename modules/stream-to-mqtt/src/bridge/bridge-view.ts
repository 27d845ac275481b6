import type { JsonObject } from '@iotedge-redis/common';
import type { BridgedStream } from '../streams/bridged-stream.ts';
import type { ReplayResult } from '../streams/replay.ts';

/** What methods and metrics see of the bridge. */
export interface BridgeView {
  readonly streams: readonly BridgedStream[];
  /** Why it is paused, by cause; empty while it works. */
  readonly pauses: ReadonlyMap<string, string>;
  readonly inFlight: number;
  readonly isConnected: boolean;
  pause(): void;
  resume(): void;
  summary(): JsonObject;
  statusOf(streams: readonly BridgedStream[]): Promise<JsonObject[]>;
  /** A text says why nothing could be replayed. */
  replay(stream: string, db: number | undefined, limit: number): Promise<ReplayResult | string>;
}
