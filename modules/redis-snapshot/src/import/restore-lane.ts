import {
  CommandBuffer,
  SuiteError,
  classifyRedisError,
  replyWord,
  sendEncoded,
  sendEncodedByKey,
} from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import { typeName } from '../rdb/layouts.ts';
import type { ChunkEntry, RestoreChunk } from './restore-chunk.ts';

/** Where the lane stands: before `offset` all is in Redis, from `until` on nothing was sent. */
export interface LanePlace {
  readonly offset: number;
  readonly db: number;
  readonly until: number;
}

export interface LaneOptions {
  readonly connection: RedisConnection;
  readonly patience: Patience;
  readonly isCluster: boolean;
  /** Database that the checkpoint is in. */
  readonly homeDb: number;
  readonly timeoutMs: number;
  readonly checkpointKey: string;
  /** The checkpoint for a place. */
  readonly checkpoint: (place: LanePlace) => string;
  /** The database to restore into, for one of the file. */
  readonly targetDb: (db: number) => number;
  /** Entries before this offset may have been sent by an earlier start: when they are there, they are ours. */
  readonly sentBefore: number;
  /** A key that is there already: `skip` leaves it, `fail` ends the run, `never` cannot happen (REPLACE). */
  readonly ifThere: 'skip' | 'fail' | 'never';
  onDelivered(outcome: { readonly restored: number; readonly skipped: number }): void;
}

/** Chunks on their way at once: enough to keep Redis at work while the next ones are made. */
const WINDOW = 4;
/** A slow link, or a value that takes long to check, gets this much more time. */
const MS_PER_BYTE = 0.001;
const MS_PER_KEY = 1;

interface Flight {
  readonly chunk: RestoreChunk;
  done: Promise<void>;
  isDone: boolean;
}

interface Tally {
  restored: number;
  skipped: number;
  attempts: number;
  pending: readonly ChunkEntry[];
}

/** Sends chunks to Redis, several at once, each until it is there. */
export class RestoreLane {
  readonly #options: LaneOptions;
  #flights: Flight[] = [];
  #until: number;
  #failure: Error | undefined;
  #spare: Buffer | undefined;
  /** Keys that somebody else had written: not to be taken away again. */
  readonly conflicts: Buffer[] = [];

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#until = options.sentBefore;
  }

  /** Memory of a chunk that is done with, for the next one. */
  takeSpare(): Buffer | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare;
  }

  /** Nothing from here on was sent. */
  get until(): number {
    return this.#until;
  }

  /** Takes the chunk; waits while too many are on their way. Rejects once one of them failed for good. */
  async send(chunk: RestoreChunk): Promise<void> {
    while (this.#flights.length >= WINDOW && this.#failure === undefined) await this.#flights[0]?.done;
    this.#throwFailure();
    this.#until = Math.max(this.#until, chunk.until);
    const flight: Flight = { chunk, done: Promise.resolve(), isDone: false };
    this.#flights.push(flight);
    flight.done = this.#deliver(chunk).then(
      () => this.#landed(flight),
      // One that failed stays the first, so that no checkpoint ever passes it.
      (error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new SuiteError('INTERNAL', String(error));
      },
    );
  }

  /** Resolves when all that was sent is in Redis. */
  async drain(): Promise<void> {
    await this.settled();
    this.#throwFailure();
  }

  /** Resolves when nothing is on its way any more, whatever became of it. */
  async settled(): Promise<void> {
    await Promise.all(this.#flights.map(({ done }) => done));
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #landed(flight: Flight): void {
    flight.isDone = true;
    this.#spare = flight.chunk.commands.backing;
    while (this.#flights[0]?.isDone === true) this.#flights.shift();
  }

  async #deliver(chunk: RestoreChunk): Promise<void> {
    const tally: Tally = { restored: 0, skipped: 0, attempts: 0, pending: chunk.entries };
    await this.#options.patience.until(() => this.#attempt(chunk, tally));
    this.#options.onDelivered(tally);
  }

  async #attempt(chunk: RestoreChunk, tally: Tally): Promise<void> {
    const { connection, isCluster, timeoutMs } = this.#options;
    const limit = Math.ceil(
      timeoutMs + WINDOW * (chunk.commands.length * MS_PER_BYTE + chunk.entries.length * MS_PER_KEY),
    );
    const { pending } = tally;
    const isRepeat = tally.attempts > 0;
    tally.attempts += 1;
    await connection.run(
      'restoring keys',
      async (client) => {
        let replies: unknown[];
        if (isCluster) {
          await client.set(this.#options.checkpointKey, this.#checkpoint());
          replies = await sendEncodedByKey(client, 'restore', apart(chunk, pending));
        } else {
          const body = isRepeat ? again(chunk, pending) : chunk.commands;
          const head = this.#head(chunk.db);
          const all = await sendEncoded(client, head, body, this.#tail());
          replies = all.splice(head.count, body.count);
          for (const reply of all) if (reply instanceof Error) throw reply;
        }
        this.#judge(tally, pending, { chunk, replies, isRepeat });
      },
      limit,
    );
  }

  /** The checkpoint goes before the keys that it announces, on the same connection. */
  #head(db: number): CommandBuffer {
    const { checkpointKey, targetDb } = this.#options;
    const head = new CommandBuffer(1024);
    head.begin(3);
    head.text('SET');
    head.text(checkpointKey);
    head.text(this.#checkpoint());
    select(head, targetDb(db));
    return head;
  }

  /** Everything else on this connection is about the database that it began with. */
  #tail(): CommandBuffer {
    const tail = new CommandBuffer(0);
    select(tail, this.#options.homeDb);
    return tail;
  }

  #checkpoint(): string {
    const [first] = this.#flights;
    const { offset, db } = first?.chunk ?? { offset: this.#until, db: 0 };
    return this.#options.checkpoint({ offset, db, until: this.#until });
  }

  /** Settles the entries that have an answer; throws when some have to be sent again, or were refused. */
  #judge(
    tally: Tally,
    sent: readonly ChunkEntry[],
    { chunk, replies, isRepeat }: { chunk: RestoreChunk; replies: readonly unknown[]; isRepeat: boolean },
  ): void {
    const { ifThere, sentBefore } = this.#options;
    const pending: ChunkEntry[] = [];
    let passing: Error | undefined;
    let refused: Error | undefined;
    sent.forEach((entry, index) => {
      const error = replies[index];
      if (!(error instanceof Error)) {
        tally.restored += 1;
        return;
      }
      const word = replyWord(error);
      if (word === 'BUSYKEY') {
        if (isRepeat || entry.offset < sentBefore) tally.restored += 1;
        else if (ifThere === 'skip') tally.skipped += 1;
        else {
          this.conflicts.push(Buffer.from(chunk.keyOf(entry)));
          refused ??= new SuiteError(
            'CONFLICT',
            `restoring keys: the key of the entry at byte ${entry.offset} of the RDB was written by somebody else meanwhile`,
          );
        }
      } else if (word === undefined || classifyRedisError(error).retryable) {
        pending.push(entry);
        passing ??= error;
      } else refused ??= refusal(entry, error);
    });
    tally.pending = pending;
    if (refused !== undefined) throw refused;
    if (passing !== undefined) throw passing;
  }
}

function select(out: CommandBuffer, db: number): void {
  out.begin(2);
  out.text('SELECT');
  out.number(db);
}

/** The commands of some entries only. */
function again(chunk: RestoreChunk, entries: readonly ChunkEntry[]): CommandBuffer {
  const size = entries.reduce((sum, { start, end }) => sum + end - start, 0);
  const out = new CommandBuffer(size);
  for (const { start, end } of entries) out.append(chunk.commands.backing, start, end);
  out.count = entries.length;
  return out;
}

function apart(chunk: RestoreChunk, entries: readonly ChunkEntry[]): { key: Buffer; bytes: Buffer }[] {
  const { bytes } = chunk.commands;
  return entries.map((entry) => ({ key: chunk.keyOf(entry), bytes: bytes.subarray(entry.start, entry.end) }));
}

function refusal(entry: ChunkEntry, error: Error): SuiteError {
  const classified = classifyRedisError(error);
  const what = `restoring keys: Redis refused the entry at byte ${entry.offset} of the RDB (${typeName(entry.type)})`;
  // The catch-all word is what a payload gets that is not in order.
  if (replyWord(error) === 'ERR')
    return new SuiteError('DATA_INVALID', `${what}: it does not take the value; the file may be damaged`);
  return new SuiteError(classified.code, `${what}: ${classified.message}`);
}
