import type { Clock, Log } from '@iotedge-redis/common';
import { errorText, exponential } from '@iotedge-redis/common';
import type { ClaimDecision, ClaimPolicy, Watermarks } from '../apply/claim.ts';
import { decideClaim } from '../apply/claim.ts';
import type { KafkaSource } from './kafka-source.ts';
import type { PartitionLane } from '../lane/partition-lane.ts';
import type { Positions } from '../apply/positions.ts';
import type { TopicPartition } from '../record.ts';

export interface AssignmentOptions {
  readonly source: Pick<KafkaSource, 'begin' | 'clusterId' | 'committed' | 'pause' | 'watermarks'>;
  readonly positions: Pick<Positions, 'clusterOf' | 'move' | 'noteCluster' | 'read'>;
  readonly policy: () => ClaimPolicy;
  readonly createLane: (place: TopicPartition) => PartitionLane;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: () => void;
}

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5000;

/** The partitions that are ours, and how each finds out where to go on. */
export class Assignment {
  readonly #options: AssignmentOptions;
  readonly #lanes = new Map<string, PartitionLane>();
  readonly #ending = new Set<Promise<void>>();
  /** The look-up that counts, of each lane. */
  readonly #claims = new WeakMap<PartitionLane, symbol>();
  #isStopped = false;

  constructor(options: AssignmentOptions) {
    this.#options = options;
  }

  get lanes(): readonly PartitionLane[] {
    return [...this.#lanes.values()];
  }

  find({ topic, partition }: TopicPartition): PartitionLane | undefined {
    return this.#lanes.get(nameOf(topic, partition));
  }

  /** From now on these are ours, and no others; all of them look up where to go on. */
  set(places: readonly TopicPartition[]): void {
    const names = new Set(places.map(({ topic, partition }) => nameOf(topic, partition)));
    for (const [name, lane] of this.#lanes) {
      lane.halt();
      if (names.has(name)) continue;
      this.#lanes.delete(name);
      this.#track(lane.end());
    }
    for (const place of places) {
      const name = nameOf(place.topic, place.partition);
      const lane = this.#lanes.get(name) ?? this.#options.createLane(place);
      this.#lanes.set(name, lane);
      this.claim(lane);
    }
  }

  /** Finds out where a lane has to go on, however often that has to be tried. */
  claim(lane: PartitionLane): void {
    const claim = Symbol('claim');
    this.#claims.set(lane, claim);
    const isCurrent = (): boolean =>
      !this.#isStopped && this.find(lane) === lane && this.#claims.get(lane) === claim;
    this.#options.source.pause(lane);
    const schedule = exponential({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS });
    const attempt = (failures: number): void => {
      this.#claim(lane, isCurrent).catch((error: unknown) => {
        if (!isCurrent()) return;
        this.#options.log.debug('looking up a position failed', {
          topic: lane.topic,
          partition: lane.partition,
          error: errorText(error),
        });
        lane.standing.inTrouble(errorText(error));
        this.#options.clock.after(schedule(failures), () => {
          if (isCurrent()) attempt(failures + 1);
        });
      });
    };
    attempt(1);
  }

  /** Tries again what waits for a person. */
  release(): void {
    for (const lane of this.#lanes.values()) {
      if (!lane.standing.isHeld) continue;
      lane.release();
      if (!lane.isFlowing) this.claim(lane);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const lane of this.#lanes.values()) this.#track(lane.end());
    await Promise.all(this.#ending);
  }

  #track(ending: Promise<void>): void {
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }

  async #claim(lane: PartitionLane, isCurrent: () => boolean): Promise<void> {
    const { source, positions, policy } = this.#options;
    // The position first: what another instance applies in between would else seem to lie behind the end.
    const position = await positions.read(lane.keys.position);
    const marks = (await source.watermarks(lane.topic)).get(lane.partition);
    if (marks === undefined || !isCurrent()) return;
    const needsCommitted = position === undefined && policy().onMissingPosition === 'committed';
    const committed = needsCommitted ? (await source.committed(lane.topic)).get(lane.partition) : undefined;
    const isOtherCluster = position === undefined && (await this.#isOtherCluster(lane));
    const decision = decideClaim(
      { position, marks, committed, isOtherCluster, isRecreated: lane.isRecreated },
      policy(),
    );
    if (!isCurrent()) return;
    lane.noteHigh(marks.high);
    if (decision.kind === 'stop') {
      lane.standing.hold('policy', `${decision.reason} (onOffsetMismatch is stop)`);
      return;
    }
    if (decision.kind === 'go-on') {
      source.begin(lane, lane.flow(decision.next, position?.timestamp, marks.low));
      this.#options.onChange();
      return;
    }
    const moved = await positions.move(lane.keys, position?.next, decision.next);
    if (!isCurrent()) return;
    // Somebody else was faster: what they wrote is where to go on.
    if (moved === undefined) return this.#claim(lane, isCurrent);
    if (position === undefined) await positions.noteCluster(lane, source.clusterId);
    if (!isCurrent()) return;
    this.#tell(lane, decision, marks, moved.changesRestarted);
    source.begin(lane, lane.flow(decision.next, undefined, marks.low));
    this.#options.onChange();
  }

  async #isOtherCluster(lane: PartitionLane): Promise<boolean> {
    const { source, positions } = this.#options;
    const before = await positions.clusterOf(lane);
    return before !== undefined && before !== source.clusterId;
  }

  #tell(
    lane: PartitionLane,
    decision: ClaimDecision & { kind: 'move' },
    marks: Watermarks,
    changesRestarted: boolean,
  ): void {
    const place = { topic: lane.topic, partition: lane.partition, next: decision.next, end: marks.high };
    if (decision.reason === undefined) {
      this.#options.log.info('a partition begins without a position', place);
    } else {
      const lost = decision.lost === undefined ? {} : { lost: decision.lost };
      this.#options.log.warn('the position did not fit', { ...place, ...lost, reason: decision.reason });
      lane.standing.noteMismatch(decision.reason, decision.lost ?? 0);
    }
    if (changesRestarted) this.#options.log.warn('a change stream began anew', { stream: lane.keys.changes });
  }
}

function nameOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
