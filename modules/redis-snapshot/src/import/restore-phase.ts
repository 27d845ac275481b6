import { SuiteError, errorText } from '@iotedge-redis/common';
import type { Clock, JsonObject, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import { RdbParser } from '../rdb/rdb-parser.ts';
import type { RdbPlace } from '../rdb/rdb-parser.ts';
import type { ImportPolicy } from '../settings.ts';
import type { Counts, ImportCheckpoint } from './import-checkpoint.ts';
import type { ImportPlan } from './import-plan.ts';
import { isModuleEntry, isSuiteEntry } from './own-keys.ts';
import type { RdbInput } from './rdb-input.ts';
import { RestoreChunk } from './restore-chunk.ts';
import { RestoreLane } from './restore-lane.ts';
import type { Target } from './target.ts';

export interface PhaseOptions {
  readonly input: RdbInput;
  readonly plan: ImportPlan;
  readonly target: Target;
  readonly policy: ImportPolicy;
  readonly phase: 'data' | 'suite';
  /** Where to go on. */
  readonly from: ImportCheckpoint;
  readonly connection: RedisConnection;
  readonly redis: RedisTarget;
  readonly checkpointKey: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  progress(fields: JsonObject): void;
}

export interface PhaseOutcome {
  readonly counts: Counts;
  /** Why it ended early. */
  readonly failure: Error | undefined;
  /** Nothing was sent from this offset on. */
  readonly until: number;
  /** Offsets of entries whose keys were there although the target had been empty. */
  readonly conflicts: readonly number[];
}

/** Restores the keys of one phase, from the entry on where an earlier start stopped. Never rejects. */
export async function restorePhase(options: PhaseOptions): Promise<PhaseOutcome> {
  const phase = new RestorePhase(options);
  return phase.run();
}

class RestorePhase {
  readonly #options: PhaseOptions;
  readonly #lane: RestoreLane;
  #counts: { restored: number; skipped: number; expired: number };
  #chunk: RestoreChunk | undefined;

  constructor(options: PhaseOptions) {
    this.#options = options;
    const { from, policy, connection, patience, redis, checkpointKey } = options;
    this.#counts = { ...from.counts };
    const spares = new Map(from.spares);
    this.#lane = new RestoreLane({
      connection,
      target: redis,
      patience,
      checkpointKey,
      held: JSON.stringify(from),
      checkpoint: (place, step) =>
        JSON.stringify({
          ...from,
          phase: options.phase,
          ...place,
          counts: this.#counts,
          step: from.step + step,
        } satisfies ImportCheckpoint),
      targetDb: (db) => spares.get(db) ?? db,
      sentBefore: from.until,
      ifThere:
        spares.size > 0 || policy === 'replace' || policy === 'exact'
          ? 'never'
          : policy === 'skip'
            ? 'skip'
            : 'fail',
      onDelivered: ({ restored, skipped }) => {
        this.#counts.restored += restored;
        this.#counts.skipped += skipped;
      },
    });
  }

  async run(): Promise<PhaseOutcome> {
    let failure: Error | undefined;
    try {
      await this.#read();
      await this.#send();
      await this.#lane.drain();
    } catch (error) {
      failure = error instanceof Error ? error : new SuiteError('INTERNAL', errorText(error));
      await this.#lane.settled();
    }
    this.#lane.close();
    const { until, conflicts } = this.#lane;
    return { counts: { ...this.#counts }, failure, until, conflicts };
  }

  async #read(): Promise<void> {
    const { input, plan, phase, from, signal } = this.#options;
    if (phase === 'suite' && plan.suite === null) return;
    const end = phase === 'suite' && plan.suite !== null ? plan.suite.until : Infinity;
    const place: RdbPlace = { family: plan.family, version: plan.version, offset: from.offset, db: from.db };
    const parser = new RdbParser({ keepsValues: true, ...(from.offset === 0 ? {} : { from: place }) });
    for await (const piece of input.read(from.offset)) {
      if (signal.aborted) throw new SuiteError('STOPPED', 'restoring keys: stopped');
      parser.push(piece);
      for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
        if (item === 'key' && this.#isWanted(parser)) {
          // A wait for each key would cost as much as the key.
          if (this.#chunk?.takes(parser) === false) await this.#send();
          this.#add(parser);
        }
        parser.clear();
        if (parser.offset >= end) return;
      }
      this.#report(parser.offset);
    }
    parser.finish();
  }

  #isWanted(parser: RdbParser): boolean {
    if (isModuleEntry(parser)) return false;
    // In a spare database nobody sees an order.
    const isOfPhase =
      this.#options.from.spares.length > 0 || isSuiteEntry(parser) === (this.#options.phase === 'suite');
    if (!isOfPhase) return false;
    const { expireAtMs } = parser;
    if (expireAtMs === undefined || expireAtMs > this.#options.clock.now()) return true;
    this.#counts.expired += 1;
    return false;
  }

  #add(parser: RdbParser): void {
    this.#chunk ??= this.#newChunk(parser);
    this.#chunk.add(parser);
  }

  #newChunk(parser: RdbParser): RestoreChunk {
    const { target, policy } = this.#options;
    const isReplacing = policy === 'replace' || policy === 'exact';
    const chunk = this.#lane.takeSpare() ?? new RestoreChunk({ targetVersion: target.version, isReplacing });
    chunk.begin(parser);
    return chunk;
  }

  async #send(): Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk !== undefined) await this.#lane.send(chunk);
  }

  #report(offset: number): void {
    const { phase, plan, from } = this.#options;
    this.#options.progress({ phase, file: from.part + 1, bytes: offset, of: plan.bytes, ...this.#counts });
  }
}
