import {
  CommandBuffer,
  SuiteError,
  classifyRedisError,
  replyWord,
  sendEncodedByKey,
} from '@iotedge-redis/common';
import type { RedisClient, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import type { RestoreChunk } from './restore-chunk.ts';
import { RestoreLink } from './restore-link.ts';
import { judgeReplies } from './restore-replies.ts';
import type { IfThere } from './restore-replies.ts';

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
  /** Used for a Cluster, where each command goes to the node of its key; anything else gets a connection of the lane's own. */
  readonly connection: RedisConnection;
  /** Its database holds the checkpoint. */
  readonly target: RedisTarget;
  readonly patience: Patience;
  readonly checkpointKey: string;
  /** The checkpoint for a place; no two steps give the same text. */
  readonly checkpoint: (place: LanePlace, step: number) => string;
  /** The checkpoint that Redis holds now. */
  readonly held: string;
  /** The database to restore into, for one of the file. */
  readonly targetDb: (db: number) => number;
  /** Entries before this offset may have been sent by an earlier start: when they are there, they are ours. */
  readonly sentBefore: number;
  readonly ifThere: IfThere;
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
  /** Entries that have no answer yet; undefined: all of them. */
  pending: readonly number[] | undefined;
}

/** Sends chunks to Redis, several at once, each until it is there. */
export class RestoreLane {
  readonly #options: LaneOptions;
  #flights: Flight[] = [];
  /** What Redis may hold as checkpoint: the last that it is known to have, and what was sent since. */
  #held: string[];
  #step = 0;
  #link: RestoreLink | undefined;
  #opening: Promise<RestoreLink> | undefined;
  /** False when the connection is a new one: what Redis holds has to be looked at before anything is written. */
  #isSure = false;
  #until: number;
  #failure: Error | undefined;
  readonly #spares: RestoreChunk[] = [];
  /** Offsets of entries whose key was there: it is not theirs, and not to be taken away again for them. */
  readonly conflicts: number[] = [];

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#until = options.sentBefore;
    this.#held = [options.held];
    const { connection } = options;
    connection.onStatus(() => {
      if (connection.status.state !== 'ready' && options.target.mode === 'cluster') this.#isSure = false;
    });
  }

  /** A chunk that is done with, to be filled again. */
  takeSpare(): RestoreChunk | undefined {
    return this.#spares.pop();
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

  /** To be called once all is settled. */
  close(): void {
    this.#link?.close();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #landed(flight: Flight): void {
    flight.isDone = true;
    // As many as are in use at once: memory outside of the heap is given back late, and fresh one costs page faults.
    if (this.#spares.length < WINDOW) this.#spares.push(flight.chunk);
    while (this.#flights[0]?.isDone === true) this.#flights.shift();
  }

  async #deliver(chunk: RestoreChunk): Promise<void> {
    const tally: Tally = { restored: 0, skipped: 0, attempts: 0, pending: undefined };
    await this.#options.patience.until(() => this.#attempt(chunk, tally));
    this.#options.onDelivered(tally);
  }

  async #attempt(chunk: RestoreChunk, tally: Tally): Promise<void> {
    const { connection, target } = this.#options;
    const limit = Math.ceil(
      target.commandTimeoutMs + WINDOW * (chunk.commands.length * MS_PER_BYTE + chunk.size * MS_PER_KEY),
    );
    tally.attempts += 1;
    // What is for good is thrown out here, in its own words; the connection hears of what passes only.
    const refused =
      target.mode === 'cluster'
        ? await connection.run('restoring keys', (client) => this.#exchangeByKey(client, chunk, tally), limit)
        : await this.#exchangeAll(await this.#opened(), chunk, tally, limit).catch((error: unknown) => {
            throw classifyRedisError(error, `restoring keys at ${connection.place}`);
          });
    if (refused !== undefined) throw refused;
  }

  /** The connection, a new one when the last one was lost. Several chunks may ask at once. */
  async #opened(): Promise<RestoreLink> {
    if (this.#link?.isOpen === true) return this.#link;
    this.#opening ??= RestoreLink.open(this.#options.target).finally(() => (this.#opening = undefined));
    const link = await this.#opening;
    if (this.#link !== link) this.#isSure = false;
    this.#link = link;
    return link;
  }

  /** Resolves with what is wrong for good. */
  async #exchangeAll(
    link: RestoreLink,
    chunk: RestoreChunk,
    tally: Tally,
    limit: number,
  ): Promise<Error | undefined> {
    if (!this.#isSure) {
      const ask = new CommandBuffer(1024);
      ask.command('GET', this.#options.checkpointKey);
      const { errors, values } = await link.exchange([ask], limit);
      for (const [, error] of errors) throw error;
      if (!this.#isHeld(values.get(0))) return new CheckpointLost();
      this.#isSure = true;
    }
    const { pending } = tally;
    const body = pending === undefined ? chunk.commands : chunk.again(pending);
    const head = this.#head(chunk.db);
    const tail = this.#tail();
    const { errors, values } = await link.exchange([head, body, tail], limit);
    const behind = head.count + body.count;
    const own = new Map<number, Error>();
    for (const [index, error] of errors) {
      if (index < head.count || index >= behind) throw error;
      own.set(index - head.count, error);
    }
    for (const index of [0, behind + tail.count - 1])
      if (!this.#isHeld(values.get(index))) return new CheckpointLost();
    return this.#judge(chunk, tally, own);
  }

  async #exchangeByKey(client: RedisClient, chunk: RestoreChunk, tally: Tally): Promise<Error | undefined> {
    const { checkpointKey } = this.#options;
    if (!this.#isSure) {
      if (!this.#isHeld(await client.get(checkpointKey))) return new CheckpointLost();
      this.#isSure = true;
    }
    // Looked at as it comes: the keys of another chunk may be there before those of this one, and its checkpoints are newer then.
    const exchange = async (): Promise<boolean> =>
      this.#isHeld(await client.getset(checkpointKey, this.#checkpoint()));
    if (!(await exchange())) return new CheckpointLost();
    const replies = await sendEncodedByKey(client, 'restore', chunk.apart(tally.pending));
    if (!(await exchange())) return new CheckpointLost();
    const errors = replies.flatMap((reply, index) =>
      reply instanceof Error ? [[index, reply] as const] : [],
    );
    return this.#judge(chunk, tally, new Map(errors));
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
    // The next checkpoint goes where this one is.
    select(tail, this.#options.target.db);
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
  #judge(chunk: RestoreChunk, tally: Tally, errors: ReadonlyMap<number, Error>): Error | undefined {
    const { ifThere, sentBefore } = this.#options;
    const ours = tally.attempts > 1 ? Infinity : sentBefore;
    const verdict = judgeReplies(chunk, tally.pending, errors, { ifThere, sentBefore: ours });
    tally.restored += verdict.restored;
    tally.skipped += verdict.skipped;
    tally.pending = verdict.pending;
    for (const entry of verdict.conflicts) this.conflicts.push(chunk.offsetOf(entry));
    if (verdict.refused !== undefined || verdict.passing === undefined) return verdict.refused;
    // It was the primary once: the one that is now has to be found.
    if (replyWord(verdict.passing) === 'READONLY') this.#link?.close();
    throw verdict.passing;
  }
}

function select(out: CommandBuffer, db: number): void {
  out.begin(2);
  out.text('SELECT');
  out.number(db);
}
