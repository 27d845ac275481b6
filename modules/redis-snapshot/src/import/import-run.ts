import { SuiteError } from '@iotedge-redis/common';
import type { JsonObject } from '@iotedge-redis/common';
import { mustBeEmpty } from './empty-target.ts';
import { sweep } from './exact-sweep.ts';
import { mustHaveNoFunctions, restoreFunctions } from './functions.ts';
import { CheckpointStore } from './import-checkpoint.ts';
import type { Counts, ImportCheckpoint } from './import-checkpoint.ts';
import type { ImportOptions } from './import-options.ts';
import { totalsOf } from './import-plan.ts';
import type { ImportPart, Totals } from './import-plan.ts';
import { describeImport } from './import-result.ts';
import { inspectParts } from './inspect-parts.ts';
import { scanKeys, unlinkKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import { isModuleKey } from './own-keys.ts';
import { refuseBeforehand, refuseForMemory } from './refusals.ts';
import { restorePhase } from './restore-phase.ts';
import { CheckpointLost } from './restore-lane.ts';
import { chooseSpares, flushDatabase, swap } from './staging.ts';
import type { Spares } from './staging.ts';
import { TakeBack } from './take-back.ts';
import { keyspaceOf, learnTarget } from './target.ts';
import type { Target } from './target.ts';

/** A Redis that loses its data so often will not have them at the end either. */
const MAX_RESTARTS = 5;
const NOTHING: Counts = { restored: 0, skipped: 0, expired: 0 };
/** Brings the files into Redis, as the policy says or not at all. May be called again after it was broken off. */
export async function runImport(options: ImportOptions): Promise<JsonObject> {
  const { clock, log } = options;
  const started = clock.now();
  const parts = await inspectParts(options);
  for (const { plan } of parts)
    if (!plan.isVerified) log.warn('the RDB has no checksum; only its structure was checked');
  const target = await options.patience.until(() =>
    learnTarget(options.connection, options.prefix, options.isCluster),
  );
  const result = await new ImportRun(options, parts, target).run();
  return { ...result, durationMs: clock.now() - started };
}

class ImportRun {
  readonly #options: ImportOptions;
  readonly #parts: readonly ImportPart[];
  readonly #totals: Totals;
  readonly #target: Target;
  readonly #store: CheckpointStore;
  readonly #scan: KeyScanOptions;
  readonly #takeBack: TakeBack;
  readonly #inputVersion: string;
  #counts: Counts = NOTHING;
  #deleted = 0;
  #keptFunctions = 0;
  #restarts = 0;

  constructor(options: ImportOptions, parts: readonly ImportPart[], target: Target) {
    this.#options = options;
    this.#parts = parts;
    this.#totals = totalsOf(parts);
    this.#target = target;
    this.#inputVersion = parts.map(({ input }) => input.version).join(' ');
    this.#store = new CheckpointStore(options.connection, options.prefix);
    this.#takeBack = new TakeBack({ run: options, store: this.#store, parts, totals: this.#totals });
    const { connection, patience, homeDb, signal } = options;
    this.#scan = { connection, patience, homeDb, signal };
  }

  async run(): Promise<JsonObject> {
    const { runId, patience } = this.#options;
    const held = await patience.until(() => this.#store.load(runId, this.#inputVersion));
    let checkpoint = held ?? (await this.#begin());
    this.#counts = checkpoint.counts;
    if (checkpoint.phase === 'undo') {
      await this.#takeBack.undo(checkpoint);
      throw new SuiteError(
        'STOPPED',
        'importing: an earlier start had failed, and what it restored is gone again',
      );
    }
    const { spares } = checkpoint;
    const isStaged = spares.length > 0;
    if (!isStaged && checkpoint.phase === 'data') await this.#functionsFirst(checkpoint);
    while (checkpoint.phase === 'data' || checkpoint.phase === 'suite')
      checkpoint = await this.#restore(checkpoint, checkpoint.phase);
    if (checkpoint.phase === 'sweep') await this.#sweep();
    if (checkpoint.phase === 'swapped') await this.#tidyUp(spares);
    await patience.until(() => this.#store.forget());
    return describeImport({
      ...{ policy: this.#options.policy, isStaged, parts: this.#parts, totals: this.#totals },
      ...{ counts: this.#counts, deleted: this.#deleted, keptFunctions: this.#keptFunctions },
    });
  }

  /** Looks whether the file may be imported at all, and writes the first checkpoint. */
  async #begin(): Promise<ImportCheckpoint> {
    const { policy, staging, connection, homeDb, runId, patience } = this.#options;
    const target = this.#target;
    for (const { plan } of this.#parts) refuseBeforehand(plan, target);
    if (policy === 'failIfNotEmpty') {
      await mustBeEmpty(this.#scan, target.keyspace);
      await mustHaveNoFunctions(connection, this.#totals);
    }
    const spares = await chooseSpares(this.#options, this.#totals, target);
    const isBeside = policy !== 'replace' && (policy !== 'exact' || spares.length > 0);
    refuseForMemory(this.#totals, target, isBeside);
    if (staging === 'always' && spares.length === 0 && this.#totals.databases.size > 0) {
      throw new SuiteError(
        'CONFLICT',
        'importing by way of spare databases: Redis has not as many empty ones as the snapshot has databases, or does not permit SWAPDB',
      );
    }
    const checkpoint: ImportCheckpoint = {
      format: 1,
      runId,
      inputVersion: this.#inputVersion,
      phase: 'data',
      part: 0,
      offset: 0,
      db: homeDb,
      until: 0,
      counts: this.#counts,
      step: 0,
      spares,
    };
    await patience.until(() => this.#store.save(checkpoint));
    return checkpoint;
  }

  async #functionsFirst(checkpoint: ImportCheckpoint): Promise<void> {
    try {
      await this.#functions();
    } catch (error) {
      const failure = error instanceof Error ? error : new SuiteError('INTERNAL', String(error));
      await this.#takeBack.failed(checkpoint, 'data', {
        counts: this.#counts,
        until: checkpoint.until,
        conflicts: [],
        failure,
      });
    }
  }

  async #functions(): Promise<void> {
    const { connection, patience, policy } = this.#options;
    this.#keptFunctions = await restoreFunctions({
      connection,
      patience,
      parts: this.#parts,
      targetVersion: this.#target.version,
      policy,
    });
  }

  /** Restores the keys of a phase and moves on to the next one; takes everything back where the policy asks for that. */
  async #restore(from: ImportCheckpoint, phase: 'data' | 'suite'): Promise<ImportCheckpoint> {
    const { spares } = from;
    const part = this.#parts[from.part];
    if (part === undefined) throw new SuiteError('INTERNAL', 'restoring keys: there is no such file');
    const outcome = await restorePhase({
      ...this.#options,
      ...part,
      target: this.#target,
      phase,
      from,
      checkpointKey: this.#store.key,
    });
    this.#counts = outcome.counts;
    const { failure } = outcome;
    if (failure instanceof CheckpointLost && this.#restarts < MAX_RESTARTS) return this.#startOver(from);
    if (failure !== undefined) await this.#takeBack.failed(from, phase, { ...outcome, failure });
    const checkpoint: ImportCheckpoint = {
      ...from,
      ...this.#after(from, phase),
      until: from.until === Number.MAX_SAFE_INTEGER ? from.until : 0,
      counts: this.#counts,
    };
    if (spares.length > 0 && checkpoint.phase !== 'data') return this.#swap(from);
    await this.#options.patience.until(() => this.#store.save(checkpoint));
    return checkpoint;
  }

  /** Redis lost what was restored, or a part of it. What it still holds of that is ours, whatever the policy says of other keys. */
  async #startOver(from: ImportCheckpoint): Promise<ImportCheckpoint> {
    const { log, patience, homeDb } = this.#options;
    this.#restarts += 1;
    log.warn('Redis lost data that this import had restored; it begins again', { time: this.#restarts });
    for (const [, spare] of from.spares) await flushDatabase(this.#scan, spare);
    this.#counts = NOTHING;
    const checkpoint: ImportCheckpoint = {
      ...from,
      phase: 'data',
      part: 0,
      offset: 0,
      db: homeDb,
      until: Number.MAX_SAFE_INTEGER,
      counts: NOTHING,
      step: 0,
    };
    await patience.until(() => this.#store.save(checkpoint));
    if (from.spares.length === 0) await this.#functionsFirst(checkpoint);
    return checkpoint;
  }

  /** The next file of the phase, or the first one of the next phase. */
  #after(
    { part }: ImportCheckpoint,
    phase: 'data' | 'suite',
  ): Pick<ImportCheckpoint, 'phase' | 'part' | 'offset' | 'db'> {
    const isLast = part === this.#parts.length - 1;
    const next = isLast ? 0 : part + 1;
    const { homeDb: db } = this.#options;
    if (phase === 'data' && !isLast) return { phase, part: next, offset: 0, db };
    if (phase === 'suite' && isLast) return { phase: 'sweep', part: 0, offset: 0, db };
    const suite = this.#parts[next]?.plan.suite;
    return { phase: 'suite', part: next, offset: suite?.from ?? 0, db: suite?.db ?? db };
  }

  async #swap(from: ImportCheckpoint): Promise<ImportCheckpoint> {
    const { policy, homeDb, patience, connection, isCluster } = this.#options;
    const now = await patience.until(() => keyspaceOf(connection, isCluster));
    const { spares } = from;
    if (policy === 'failIfNotEmpty') {
      const outside = new Map([...now].filter(([db]) => !spares.some(([, spare]) => spare === db)));
      await mustBeEmpty(this.#scan, outside).catch(async (error: unknown) => {
        for (const [, spare] of spares) await flushDatabase(this.#scan, spare);
        await this.#store.forget();
        throw error;
      });
    }
    const held = new Set(spares.flat());
    const others = policy === 'exact' ? [...now.keys()].filter((db) => !held.has(db)) : [];
    const checkpoint: ImportCheckpoint = { ...from, phase: 'swapped', until: 0, counts: this.#counts };
    await swap({
      ...this.#scan,
      spares,
      others: others.filter((db) => db !== homeDb),
      checkpointKey: this.#store.key,
      checkpoint: JSON.stringify(checkpoint),
    });
    if (others.includes(homeDb)) {
      for await (const keys of scanKeys(this.#scan, homeDb)) {
        await unlinkKeys(
          this.#scan,
          homeDb,
          keys.filter((key) => !isModuleKey(key)),
        );
      }
    }
    return checkpoint;
  }

  async #tidyUp(spares: Spares): Promise<void> {
    for (const [, spare] of spares) await flushDatabase(this.#scan, spare);
    await this.#functions();
  }

  async #sweep(): Promise<void> {
    const { policy, connection, isCluster, inputs, clock, patience } = this.#options;
    if (policy !== 'exact') return;
    const now = await patience.until(() => keyspaceOf(connection, isCluster));
    this.#deleted = await sweep({
      ...this.#scan,
      inputs,
      keys: this.#totals.keys,
      databases: [...now.keys()],
      now: clock.now(),
    });
  }
}
