import type { Clock, Log } from '@iotedge-redis/common';
import type { Flow } from '../flow/flow.ts';
import type { BridgedStream } from './bridged-stream.ts';
import type { GroupReads } from './group-reads.ts';
import type { Operations } from './operations.ts';
import type { StreamSource } from './stream-source.ts';

/** What everything needs that brings entries of one database into the flow. */
export interface ReadingParts {
  readonly source: StreamSource;
  readonly reads: GroupReads;
  readonly streams: () => readonly BridgedStream[];
  readonly flow: Flow;
  readonly operations: Operations;
  /** The payload holds how often an entry was delivered. */
  readonly wantsDeliveries: boolean;
  readonly clock: Clock;
  readonly log: Log;
}
