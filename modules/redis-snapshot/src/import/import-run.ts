import { SuiteError } from '@iotedge-redis/common';
import type { Clock, JsonObject, Log, RedisConnection } from '@iotedge-redis/common';
import { Patience } from '@iotedge-redis/common/blob';
import type { ImportPolicy } from '../settings.ts';
import { mustBeEmpty } from './empty-target.ts';
import { sweep } from './exact-sweep.ts';
import { flush, mustHaveNoFunctions, restoreFunctions } from './functions.ts';
import { CheckpointStore } from './import-checkpoint.ts';
import type { Counts, ImportCheckpoint } from './import-checkpoint.ts';
import { inspect } from './import-plan.ts';
import type { ImportPlan } from './import-plan.ts';
import { scanKeys, unlinkKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import { isModuleKey } from './own-keys.ts';
import type { RdbInput } from './rdb-input.ts';
import { refuseBeforehand } from './refusals.ts';
import { restorePhase } from './restore-phase.ts';
import type { PhaseOutcome } from './restore-phase.ts';
import { findSpares, flushDatabase, swap } from './staging.ts';
import type { Spares } from './staging.ts';
import { keyspaceOf, learnTarget } from './target.ts';
import type { Target } from './target.ts';
import { undo } from './undo.ts';

export interface ImportOptions {
  readonly runId: string;
  readonly input: RdbInput;
  readonly policy: ImportPolicy;
  /**
   * `always` restores into spare databases and swaps them in one step, or refuses; `never` restores in place; `auto` stages where the
   * policy is `exact` and the server has the room.
   */
  readonly staging: 'auto' | 'always' | 'never';
  /** One that nobody else uses: commands rely on following each other. */
  readonly connection: RedisConnection;
  /** Database of that connection. */
  readonly homeDb: number;
  readonly isCluster: boolean;
  readonly timeoutMs: number;
  /** Begins the keys of this instance of the module. */
  readonly prefix: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  /** What an earlier start of the same run found in the file. */
  readonly plan: ImportPlan | undefined;
  keepPlan(plan: ImportPlan): Promise<void>;
  /** Throws when the file is not what its manifest says. */
  checkPlan?(plan: ImportPlan): void;
  progress(fields: JsonObject): void;
}

/** Where the run's own words for its end come from: an abort with this reason takes the import back, any other lets it go on later. */
export const CANCELLED = 'cancelled';
/** How long a cancelled import waits for a Redis or a storage that is away while it takes back what it restored. */
const TAKE_BACK_MS = 60_000;

/** Brings the file into Redis, as the policy says or not at all. May be called again after it was broken off. */
export async function runImport(options: ImportOptions): Promise<JsonObject> {
  const { input, signal, log } = options;
  const started = options.clock.now();
  const known = options.plan?.inputVersion === input.version ? options.plan : undefined;
  const plan =
    known ?? (await inspect(input, signal, (bytes) => options.progress({ phase: 'check', bytes })));
  options.checkPlan?.(plan);
  if (known === undefined) await options.keepPlan(plan);
  if (!plan.isVerified) log.warn('the RDB has no checksum; only its structure was checked');
  const target = await options.patience.until(() =>
    learnTarget(options.connection, options.prefix, options.isCluster),
  );
  const run = new ImportRun(options, plan, target);
  const result = await run.run();
  return { ...result, seconds: Math.round((options.clock.now() - started) / 100) / 10 };
}

class ImportRun {
  readonly #options: ImportOptions;
  readonly #plan: ImportPlan;
  readonly #target: Target;
  readonly #store: CheckpointStore;
  readonly #scan: KeyScanOptions;
  #counts: Counts = { restored: 0, skipped: 0, expired: 0 };
  #deleted = 0;
  #keptFunctions = 0;

  constructor(options: ImportOptions, plan: ImportPlan, target: Target) {
    this.#options = options;
    this.#plan = plan;
    this.#target = target;
    this.#store = new CheckpointStore(options.connection, options.prefix);
    const { connection, patience, homeDb, signal } = options;
    this.#scan = { connection, patience, homeDb, signal };
  }

  async run(): Promise<JsonObject> {
    const { runId, input, patience } = this.#options;
    const held = await patience.until(() => this.#store.load(runId, input.version));
    let checkpoint = held ?? (await this.#begin());
    this.#counts = checkpoint.counts;
    if (checkpoint.phase === 'undo') {
      await this.#undo(checkpoint, []);
      throw new SuiteError(
        'STOPPED',
        'importing: an earlier start had failed, and what it restored is gone again',
      );
    }
    const { spares } = checkpoint;
    const isStaged = spares.length > 0;
    if (!isStaged && checkpoint.phase === 'data') await this.#functions();
    if (checkpoint.phase === 'data') checkpoint = await this.#restore(checkpoint, 'data');
    if (checkpoint.phase === 'suite') checkpoint = await this.#restore(checkpoint, 'suite');
    if (checkpoint.phase === 'sweep') await this.#sweep();
    if (checkpoint.phase === 'swapped') await this.#tidyUp(spares);
    await patience.until(() => this.#store.forget());
    return this.#result(isStaged);
  }

  /** Looks whether the file may be imported at all, and writes the first checkpoint. */
  async #begin(): Promise<ImportCheckpoint> {
    const { policy, staging, connection, homeDb, runId, input, patience } = this.#options;
    const plan = this.#plan;
    const target = this.#target;
    if (policy === 'failIfNotEmpty') {
      await mustBeEmpty(this.#scan, target.keyspace);
      await mustHaveNoFunctions(connection, plan);
    }
    const spares = await this.#chooseSpares();
    const isBeside = policy !== 'replace' && (policy !== 'exact' || spares.length > 0);
    refuseBeforehand(plan, target, isBeside);
    if (staging === 'always' && spares.length === 0 && plan.databases.length > 0) {
      throw new SuiteError(
        'CONFLICT',
        'importing by way of spare databases: Redis has not as many empty ones as the snapshot has databases, or does not permit SWAPDB',
      );
    }
    const checkpoint: ImportCheckpoint = {
      format: 1,
      runId,
      inputVersion: input.version,
      phase: 'data',
      offset: 0,
      db: homeDb,
      until: 0,
      counts: this.#counts,
      spares,
    };
    await patience.until(() => this.#store.save(checkpoint));
    return checkpoint;
  }

  async #chooseSpares(): Promise<Spares> {
    const { policy, staging, connection, homeDb } = this.#options;
    const isPossible = policy === 'exact' || policy === 'failIfNotEmpty';
    if (staging === 'never' || !isPossible || (staging === 'auto' && policy !== 'exact')) return [];
    const spares = await findSpares(connection, this.#plan, this.#target, homeDb);
    if (spares === undefined || staging === 'always') return spares ?? [];
    try {
      refuseBeforehand(this.#plan, this.#target, true);
      return spares;
    } catch (error) {
      // Both together do not fit; what is there makes room as it is replaced.
      if (error instanceof SuiteError && error.code === 'REDIS_OOM') return [];
      throw error;
    }
  }

  async #functions(): Promise<void> {
    const { connection, patience, input, policy } = this.#options;
    this.#keptFunctions = await restoreFunctions({
      connection,
      patience,
      input,
      plan: this.#plan,
      targetVersion: this.#target.version,
      policy,
    });
  }

  /** Restores the keys of a phase and moves on to the next one; takes everything back where the policy asks for that. */
  async #restore(from: ImportCheckpoint, phase: 'data' | 'suite'): Promise<ImportCheckpoint> {
    const { spares } = from;
    const outcome = await restorePhase({
      ...this.#options,
      plan: this.#plan,
      target: this.#target,
      phase,
      from,
      checkpointKey: this.#store.key,
    });
    this.#counts = outcome.counts;
    const { failure } = outcome;
    if (failure !== undefined) await this.#failed(from, phase, { ...outcome, failure });
    if (spares.length > 0) return this.#swap(from);
    const next = this.#phaseAfter(phase);
    const { suite } = this.#plan;
    const checkpoint: ImportCheckpoint = {
      ...from,
      phase: next,
      offset: suite?.from ?? 0,
      db: suite?.db ?? 0,
      until: 0,
      counts: this.#counts,
    };
    await this.#options.patience.until(() => this.#store.save(checkpoint));
    return checkpoint;
  }

  #phaseAfter(phase: 'data' | 'suite'): 'suite' | 'sweep' {
    return phase === 'data' ? 'suite' : 'sweep';
  }

  /** Ends by throwing, after what has to be taken back is taken back. */
  async #failed(
    from: ImportCheckpoint,
    phase: 'data' | 'suite',
    outcome: PhaseOutcome & { readonly failure: Error },
  ): Promise<never> {
    const { policy, signal } = this.#options;
    const isLater = signal.aborted && signal.reason !== CANCELLED;
    const { failure } = outcome;
    if (isLater) throw failure;
    if (from.spares.length > 0) {
      for (const [, spare] of from.spares) await flushDatabase(this.#lastly(), spare);
      await this.#store.forget();
    } else if (policy === 'failIfNotEmpty') {
      const checkpoint: ImportCheckpoint = {
        ...from,
        phase: 'undo',
        undone: phase,
        until: outcome.until,
        counts: this.#counts,
      };
      await this.#store.save(checkpoint);
      await this.#undo(checkpoint, outcome.conflicts);
    }
    throw failure;
  }

  async #undo(checkpoint: ImportCheckpoint, spared: readonly Buffer[]): Promise<void> {
    const { input, clock, log } = this.#options;
    const lastly = this.#lastly();
    const options = { ...this.#scan, ...lastly, spared, now: clock.now(), input: input.by(lastly.patience) };
    const keys = await undo({ ...options, phase: checkpoint.undone ?? 'data', until: checkpoint.until });
    if (this.#plan.functions > 0) await flush(options);
    await this.#store.forget();
    log.warn('the import was taken back', { keys });
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
    const { policy, connection, isCluster, input, clock, patience } = this.#options;
    if (policy !== 'exact') return;
    const now = await patience.until(() => keyspaceOf(connection, isCluster));
    this.#deleted = await sweep({
      ...this.#scan,
      input,
      keys: this.#plan.keys,
      databases: [...now.keys()],
      now: clock.now(),
    });
  }

  /** For what has to be done although the run was cancelled: as patient as before, but not ended by the same signal. */
  #lastly(): Pick<KeyScanOptions, 'connection' | 'patience' | 'homeDb'> {
    const { connection, homeDb, patience, signal } = this.#options;
    return { connection, homeDb, patience: signal.aborted ? this.#hurry() : patience };
  }

  #hurry(): Patience {
    const { clock } = this.#options;
    const { signal } = new AbortController();
    return new Patience({
      signal,
      clock,
      maxPauseMs: 1000,
      giveUpAfterMs: TAKE_BACK_MS,
      onWaiting: () => undefined,
    });
  }

  #result(isStaged: boolean): JsonObject {
    const plan = this.#plan;
    const { restored, skipped, expired } = this.#counts;
    return {
      policy: this.#options.policy,
      isStaged,
      isVerified: plan.isVerified,
      rdbVersion: plan.version,
      server: `${plan.family} ${plan.serverVersion ?? ''}`.trim(),
      bytes: plan.bytes,
      keys: plan.keys,
      databases: Object.fromEntries(plan.databases.map(([db, keys]) => [String(db), keys])),
      restored,
      skipped,
      expired,
      deleted: this.#deleted,
      functions: plan.functions,
      ...(this.#keptFunctions > 0 ? { functionsKept: this.#keptFunctions } : {}),
      ...(plan.moduleAux.length > 0 ? { moduleDataLeftOut: [...plan.moduleAux] } : {}),
    };
  }
}
