import {
  CommandBuffer,
  SuiteError,
  classifyRedisError,
  replyWord,
  sendEncoded,
  sendEncodedByKey,
} from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import { typeName } from '../rdb/layouts.ts';
import type { ChunkEntry, RestoreChunk } from './restore-chunk.ts';

/** Redis does not hold what this run wrote last: it was wiped, or came back with an older state. */
export class CheckpointLost extends SuiteError {
  constructor() {
    super(
      'CONFLICT',
      'restoring keys: Redis does not hold the checkpoint that this import wrote; it lost data',
    );
    this.name = 'CheckpointLost';
  }
}

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
  /** The checkpoint for a place; no two steps give the same text. */
  readonly checkpoint: (place: LanePlace, step: number) => string;
  /** The checkpoint that Redis holds now. */
  readonly held: string;
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
  /** What Redis may hold as checkpoint: the last that it is known to have, and what was sent since. */
  #held: string[];
  #step = 0;
  /** False when the connection is a new one: what Redis holds has to be looked at before anything is written. */
  #isSure = false;
  #until: number;
  #failure: Error | undefined;
  #spare: Buffer | undefined;
  /** Keys that somebody else had written: not to be taken away again. */
  readonly conflicts: Buffer[] = [];

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#until = options.sentBefore;
    this.#held = [options.held];
    const { connection } = options;
    connection.onStatus(() => {
      if (connection.status.state !== 'ready') this.#isSure = false;
    });
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
    const { connection, timeoutMs } = this.#options;
    const limit = Math.ceil(
      timeoutMs + WINDOW * (chunk.commands.length * MS_PER_BYTE + chunk.entries.length * MS_PER_KEY),
    );
    tally.attempts += 1;
    // What is for good is thrown out here, in its own words; the connection hears of what passes only.
    const refused = await connection.run(
      'restoring keys',
      (client) => this.#exchangeAll(client, chunk, tally),
      limit,
    );
    if (refused !== undefined) throw refused;
  }

  /** Resolves with what is wrong for good. */
  async #exchangeAll(client: RedisClient, chunk: RestoreChunk, tally: Tally): Promise<Error | undefined> {
    const { isCluster, checkpointKey } = this.#options;
    const { pending } = tally;
    const isRepeat = tally.attempts > 1;
    if (!this.#isSure) {
      if (!this.#isHeld(await client.get(checkpointKey))) return new CheckpointLost();
      this.#isSure = true;
    }
    let replies: unknown[];
    const held: unknown[] = [];
    if (isCluster) {
      held.push(await client.getset(checkpointKey, this.#checkpoint()));
      replies = await sendEncodedByKey(client, 'restore', apart(chunk, pending));
      held.push(await client.getset(checkpointKey, this.#checkpoint()));
    } else {
      const body = isRepeat ? again(chunk, pending) : chunk.commands;
      const head = this.#head(chunk.db);
      const all = await sendEncoded(client, head, body, this.#tail());
      replies = all.splice(head.count, body.count);
      for (const reply of all) if (reply instanceof Error) throw reply;
      held.push(all[0], all.at(-1));
    }
    for (const reply of held) if (!this.#isHeld(reply)) return new CheckpointLost();
    return this.#judge(tally, pending, { chunk, replies, isRepeat });
  }

  /** The checkpoint goes before the keys that it announces, on the same connection. */
  #head(db: number): CommandBuffer {
    const head = new CommandBuffer(1024);
    this.#exchange(head);
    select(head, this.#options.targetDb(db));
    return head;
  }

  /** And again behind them: a Redis that comes back without them comes back without it. */
  #tail(): CommandBuffer {
    const tail = new CommandBuffer(1024);
    // Everything else on this connection is about the database that it began with.
    select(tail, this.#options.homeDb);
    this.#exchange(tail);
    return tail;
  }

  /** The old value comes back, and shows whether Redis lost anything meanwhile. */
  #exchange(out: CommandBuffer): void {
    out.begin(3);
    out.text('GETSET');
    out.text(this.#options.checkpointKey);
    out.text(this.#checkpoint());
  }

  #checkpoint(): string {
    const [first] = this.#flights;
    const { offset, db } = first?.chunk ?? { offset: this.#until, db: 0 };
    this.#step += 1;
    const text = this.#options.checkpoint({ offset, db, until: this.#until }, this.#step);
    this.#held.push(text);
    return text;
  }

  #isHeld(reply: unknown): boolean {
    const index = this.#held.indexOf(String(reply));
    if (index > 0) this.#held.splice(0, index);
    return index >= 0;
  }

  /** Settles the entries that have an answer; throws when some have to be sent again, resolves with why one was refused. */
  #judge(
    tally: Tally,
    sent: readonly ChunkEntry[],
    { chunk, replies, isRepeat }: { chunk: RestoreChunk; replies: readonly unknown[]; isRepeat: boolean },
  ): Error | undefined {
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
    if (refused === undefined && passing !== undefined) throw passing;
    return refused;
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
