import type { JsonObject, RedisStatus } from '@iotedge-redis/common';
import type { SourceStatus } from './kafka/kafka-source.ts';
import type { PartitionLane } from './lane/partition-lane.ts';
import type { ReplayRequest, ReplayResult } from './replay.ts';

/** What the direct methods and the metrics see of the part. */
export interface IngestView {
  readonly lanes: readonly PartitionLane[];
  readonly pauses: ReadonlyMap<string, string>;
  readonly redis: RedisStatus;
  readonly kafka: SourceStatus;
  readonly topics: readonly string[];
  readonly memoryPercent: number | undefined;
  pause(): void;
  resume(): void;
  summary(): JsonObject;
  statusOf(lanes: readonly PartitionLane[]): JsonObject[];
  deadLetters(): Promise<number | null>;
  replay(request: ReplayRequest): Promise<ReplayResult>;
}
