import type { RedisConnection } from '@iotedge-redis/common';

/**
 * In this order: `data` restores all keys but the suite's, `suite` restores those, `sweep` deletes what the snapshot does not hold
 * (policy `exact`), `swapped` has exchanged the databases and tidies up; `undo` takes away again what was restored.
 */
export type Phase = 'data' | 'suite' | 'sweep' | 'swapped' | 'undo';

export interface Counts {
  readonly restored: number;
  /** Were there already (policy `skip`). */
  readonly skipped: number;
  /** Their time had passed. */
  readonly expired: number;
}

/** How far an import is, kept in Redis beside the data, so that both are lost or kept together. */
export interface ImportCheckpoint {
  readonly format: 1;
  readonly runId: string;
  readonly inputVersion: string;
  readonly phase: Phase;
  /** Index of the file that is at work, of several. */
  readonly part: number;
  /** Everything of the phase before this entry is in Redis. */
  readonly offset: number;
  readonly db: number;
  /** Nothing from here on was sent. */
  readonly until: number;
  readonly counts: Counts;
  /** Counts the writes of a phase, so that no two are alike. */
  readonly step: number;
  /** Databases of the snapshot, and the spare ones that they are restored into; empty when in place. */
  readonly spares: readonly (readonly [db: number, spare: number])[];
  /** Only in `undo`: the phase that failed. */
  readonly undone?: 'data' | 'suite';
  /** Only in `undo`: offsets of entries that were sent and not restored, since their keys were there. At most what is sent at once. */
  readonly spared?: readonly number[];
}

export class CheckpointStore {
  readonly key: string;
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.key = `${prefix}import`;
  }

  /** Undefined when there is none of this run and input. */
  async load(runId: string, inputVersion: string): Promise<ImportCheckpoint | undefined> {
    const text = await this.#connection.run('reading the checkpoint', (client) => client.get(this.key));
    const held = text === null ? undefined : parse(text);
    return held?.runId === runId && held.inputVersion === inputVersion ? held : undefined;
  }

  async save(checkpoint: ImportCheckpoint): Promise<void> {
    await this.#connection.run('writing the checkpoint', (client) =>
      client.set(this.key, JSON.stringify(checkpoint)),
    );
  }

  async forget(): Promise<void> {
    await this.#connection.run('deleting the checkpoint', (client) => client.unlink(this.key));
  }
}

function parse(text: string): ImportCheckpoint | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isCheckpoint(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isCheckpoint(value: unknown): value is ImportCheckpoint {
  return (
    typeof value === 'object' &&
    value !== null &&
    'format' in value &&
    value.format === 1 &&
    'runId' in value &&
    'inputVersion' in value &&
    'phase' in value &&
    typeof value.phase === 'string' &&
    'part' in value &&
    typeof value.part === 'number' &&
    'offset' in value &&
    typeof value.offset === 'number' &&
    'until' in value &&
    typeof value.until === 'number' &&
    'spares' in value &&
    Array.isArray(value.spares)
  );
}
