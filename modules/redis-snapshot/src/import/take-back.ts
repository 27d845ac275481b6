import { Patience } from '@iotedge-redis/common/blob';
import { flush } from './functions.ts';
import type { CheckpointStore, ImportCheckpoint } from './import-checkpoint.ts';
import type { ImportOptions } from './import-options.ts';
import type { ImportPart, Totals } from './import-plan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import type { PhaseOutcome } from './restore-phase.ts';
import { flushDatabase } from './staging.ts';
import { undo } from './undo.ts';

/** An abort with this reason takes the import back where the policy asks for that; any other lets it go on later. */
const CANCELLED = 'cancelled';
/** How long a cancelled import waits for a Redis or a storage that is away while it takes back what it restored. */
const TAKE_BACK_MS = 60_000;

export interface TakeBackOptions {
  readonly run: ImportOptions;
  readonly store: CheckpointStore;
  readonly parts: readonly ImportPart[];
  readonly totals: Totals;
}

/** What a failure leaves to be done: nothing of an import into an empty Redis, or into spare databases, stays. */
export class TakeBack {
  readonly #options: TakeBackOptions;

  constructor(options: TakeBackOptions) {
    this.#options = options;
  }

  /** Ends by throwing the failure, after what has to be taken back is taken back. */
  async failed(
    from: ImportCheckpoint,
    phase: 'data' | 'suite',
    outcome: PhaseOutcome & { readonly failure: Error },
  ): Promise<never> {
    const { run, store } = this.#options;
    const { failure, counts, until, conflicts } = outcome;
    const isLater = run.signal.aborted && run.signal.reason !== CANCELLED;
    if (isLater) throw failure;
    if (from.spares.length > 0) {
      for (const [, spare] of from.spares) await flushDatabase(this.#lastly(), spare);
      await store.forget();
    } else if (run.policy === 'failIfNotEmpty') {
      const undone = { phase: 'undo', undone: phase, spared: conflicts } as const;
      const checkpoint: ImportCheckpoint = { ...from, ...undone, until, counts };
      await store.save(checkpoint);
      await this.undo(checkpoint);
    }
    throw failure;
  }

  /** Deletes what was restored, and only that. */
  async undo(checkpoint: ImportCheckpoint): Promise<void> {
    const { run, store, parts, totals } = this.#options;
    const { part, until, undone: phase = 'data', spared = [] } = checkpoint;
    const lastly = this.#lastly();
    const inputs = parts.map(({ input }) => input.by(lastly.patience));
    const options = { ...lastly, spared, now: run.clock.now(), inputs };
    const keys = await undo({ ...options, phase, part, until });
    if (totals.functions > 0) await flush(options);
    await store.forget();
    run.log.warn('the import was taken back', { keys });
  }

  /** For what has to be done although the run was cancelled: as patient as before, but not ended by the same signal. */
  #lastly(): KeyScanOptions {
    const { connection, homeDb, patience, signal } = this.#options.run;
    return { connection, homeDb, signal, patience: signal.aborted ? this.#hurry() : patience };
  }

  #hurry(): Patience {
    const { clock } = this.#options.run;
    const { signal } = new AbortController();
    return new Patience({
      signal,
      clock,
      maxPauseMs: 1000,
      giveUpAfterMs: TAKE_BACK_MS,
      onWaiting: () => undefined,
    });
  }
}
