import { CommandBuffer, SuiteError, classifyRedisError } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import { groupBySlot, writeGroup } from '../rows/cluster-rows.ts';
import { isRefusal, sendRows } from '../rows/encoded-call.ts';
import type { Reject, Row } from '../rows/row.ts';
import { beginMany, writeRow, writeRows } from '../rows/row-commands.ts';
import type { RowList } from '../rows/row-list.ts';

/** What Redis holds is not what this run left there: it was wiped, rolled back, or another run wrote. */
export class CheckpointLost extends SuiteError {
  constructor(place: string) {
    super('CONFLICT', `writing rows at ${place}: Redis does not hold the checkpoint that this run wrote`);
    this.name = 'CheckpointLost';
  }
}

/** One step of a run: rows, and the checkpoint behind them. */
export interface Step {
  /** Must not change before the step is in Redis. */
  readonly rows: RowList;
  /** Time-to-live counts from here, milliseconds since 1970. */
  readonly startedAt: number;
  /** The checkpoint as Redis has to hold it before, and what it becomes. */
  readonly before: string;
  readonly after: string;
  /** Further keys that belong to the same step. */
  readonly extras: readonly (readonly [key: string, value: Buffer])[];
}

/**
 * `applied`: Redis holds the rows and the checkpoint. `refused`: it takes some command of it for good, and may hold the
 * checkpoint without these rows. `open`: nobody knows, or nothing happened; `write` finds out.
 */
export type Outcome = 'applied' | 'refused' | 'open';

/**
 * Runs behind WATCH and before MULTI. Where Redis does not hold the checkpoint that the step builds on, it touches the key,
 * so that the transaction does not take place: a step that comes late, twice, or behind one that failed changes nothing.
 */
const GUARD = Buffer.from(`local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then return 1 end
if held then
  redis.call('PEXPIREAT', KEYS[1], '9999999999999')
  redis.call('PERSIST', KEYS[1])
else
  redis.call('SET', KEYS[1], '')
  redis.call('DEL', KEYS[1])
end
return 0`);

/**
 * Last in the transaction. GUARD may not have run: the ACL was changed, or Redis was busy with a script until just then. The
 * rows before it may then be there too early, which the steps that follow mend; a checkpoint ahead of its rows would stay.
 */
const MOVE = Buffer.from(`if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`);

/** What goes around the rows of one step, and rows that are not sent from where they lie. */
interface Frame {
  readonly head: CommandBuffer;
  readonly rows: CommandBuffer;
  readonly tail: CommandBuffer;
}

/** A slow link to Redis gets this much more time per byte: a megabyte a second. */
const MS_PER_BYTE = 0.001;

/** Writes rows, each step with the checkpoint behind it. */
export class RedisSink {
  readonly #connection: RedisConnection;
  readonly #checkpointKey: string;
  readonly #isCluster: boolean;
  readonly #timeoutMs: number;
  /** Whether the user's ACL permits the guarded transaction; undefined until it was tried. Else rows go one by one. */
  #canGuard: boolean | undefined;
  /** Memory that nobody reads any more. */
  readonly #spares: Frame[] = [];

  constructor(connection: RedisConnection, checkpointKey: string, isCluster: boolean, timeoutMs: number) {
    this.#connection = connection;
    this.#checkpointKey = checkpointKey;
    this.#isCluster = isCluster;
    this.#timeoutMs = timeoutMs;
    if (isCluster) this.#canGuard = false;
  }

  load(): Promise<string | null> {
    return this.#connection.run('reading the checkpoint', (client) => client.get(this.#checkpointKey));
  }

  /** Writes the first checkpoint of a run, over whatever is there. */
  async begin(text: string): Promise<void> {
    await this.#connection.run('writing the checkpoint', (client) => client.set(this.#checkpointKey, text));
  }

  /** True when a step may be sent before it is known what became of the one before it. */
  get canAttempt(): boolean {
    return this.#canGuard === true;
  }

  /** Sends a step without looking first. Never rejects. */
  attempt(step: Step): Promise<Outcome> {
    return this.#transact(step).catch(() => 'open');
  }

  /**
   * Brings a step into Redis, whatever became of attempts at it. `later` are the checkpoints of steps that are under way
   * behind it. Resolves with the rows that Redis refuses for good; rejects when it has to be called again with the same
   * step, or with CheckpointLost.
   */
  async write(step: Step, later: readonly string[]): Promise<readonly Reject[]> {
    const held = await this.load();
    if (held === step.after || (held !== null && later.includes(held))) return [];
    if (held !== step.before) throw new CheckpointLost(this.#connection.place);
    if (this.#canGuard !== false) {
      const outcome = await this.#transact(step);
      if (outcome === 'applied') return [];
      if (outcome === 'open') throw new CheckpointLost(this.#connection.place);
    }
    return this.writeApart(step, later);
  }

  /**
   * The rows one by one, or slot by slot, and then the checkpoint: finds out which rows Redis refuses. Steps behind it that
   * Redis already took have to be written again. Rejects as `write` does.
   */
  async writeApart(step: Step, later: readonly string[]): Promise<readonly Reject[]> {
    const known = [step.before, step.after, ...later];
    const isKnown = (held: string | null): boolean => held !== null && known.includes(held);
    if (!isKnown(await this.load())) throw new CheckpointLost(this.#connection.place);
    const rejects = this.#isCluster ? await this.#writeBySlot(step) : await this.#writeOneByOne(step);
    const isKept = await this.#connection.run('writing the checkpoint', async (client) => {
      // Redis may have come back empty since the rows were written.
      if (!isKnown(await client.get(this.#checkpointKey))) return false;
      for (const [key, value] of step.extras) await client.set(key, value);
      await client.set(this.#checkpointKey, step.after);
      return true;
    });
    if (!isKept) throw new CheckpointLost(this.#connection.place);
    return rejects;
  }

  /** Deletes keys; used by the mirror sweep. */
  async unlink(keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    await this.#connection.run('deleting keys that the file no longer holds', async (client) => {
      if (this.#isCluster) await Promise.all(keys.map((key) => client.unlink(key)));
      else await client.unlink(...keys);
    });
  }

  async #transact({ rows, startedAt, before, after, extras }: Step): Promise<Outcome> {
    const key = this.#checkpointKey;
    const frame = this.#spares.pop() ?? createFrame();
    const { head, tail } = frame;
    head.command('WATCH', key);
    head.command('EVAL', GUARD, '1', key, before);
    head.command('MULTI');
    const guards = head.count;
    let body = frame.rows;
    if (rows.isPlain) {
      // The commonest step: one command, whose bytes the scan has written already.
      beginMany(head, 'MSET', rows.length);
      body = rows.pairs;
    } else writeRows(body, rows, startedAt);
    for (const [extra, value] of extras) tail.command('SET', extra, value);
    tail.command('EVAL', MOVE, '1', key, before, after);
    tail.command('EXEC');
    const results = await this.#send([head, body, tail], rows.length);
    // All replies are here, so the bytes are read.
    this.#recycle(frame);
    this.#canGuard ??= !results.slice(0, guards).some(isError);
    const done = results.at(-1);
    if (results.some(isError)) return 'refused';
    if (!Array.isArray(done) || done.at(-1) === 0) return 'open';
    return done.some(isError) ? 'refused' : 'applied';
  }

  #recycle(frame: Frame): void {
    for (const buffer of [frame.head, frame.rows, frame.tail]) buffer.clear();
    this.#spares.push(frame);
  }

  /** Every row by itself, all in one pipeline. */
  async #writeOneByOne({ rows, startedAt }: Step): Promise<Reject[]> {
    const out = new CommandBuffer(rows.commandBytes * 2);
    const list = [...rows];
    const ends: number[] = [];
    for (const row of list) {
      writeRow(out, row, startedAt);
      ends.push(out.count);
    }
    const results = await this.#send([out], list.length);
    const rejects: Reject[] = [];
    list.forEach((row, index) => {
      const replies = results.slice(ends[index - 1] ?? 0, ends[index]);
      const refused = replies.find((reply) => reply instanceof Error);
      if (refused !== undefined) rejects.push(refusal(row, refused));
    });
    return rejects;
  }

  /** Each key's last row decides, so the order of different keys does not matter between nodes. */
  async #writeBySlot({ rows, startedAt }: Step): Promise<Reject[]> {
    const groups = groupBySlot(rows);
    return this.#connection.run(
      'writing rows',
      async (client) => {
        const rejects: Reject[] = [];
        const write = async (group: readonly Row[]): Promise<void> => {
          try {
            await writeGroup(client, group, startedAt);
          } catch (error) {
            if (!isRefusal(error)) throw error;
            // Some row of several is to blame: find out which.
            if (group.length > 1) for (const row of group) await write([row]);
            else for (const row of group) rejects.push(refusal(row, error));
          }
        };
        await Promise.all(groups.map(write));
        return rejects;
      },
      this.#limit(rows.commandBytes),
    );
  }

  /** Resolves with one result per command; error replies are results, a lost connection rejects. */
  #send(buffers: readonly CommandBuffer[], rows: number): Promise<unknown[]> {
    const doing = rows === 1 ? 'writing a row' : `writing ${rows} rows`;
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.bytes.length, 0);
    return this.#connection.run(doing, (client) => sendRows(client, buffers), this.#limit(bytes));
  }

  #limit(bytes: number): number {
    return Math.ceil(this.#timeoutMs + bytes * MS_PER_BYTE);
  }
}

function createFrame(): Frame {
  return { head: new CommandBuffer(1024), rows: new CommandBuffer(0), tail: new CommandBuffer(2048) };
}

function isError(result: unknown): boolean {
  return result instanceof Error;
}

function refusal(row: Row, refused: Error): Reject {
  return { line: row.line, reason: `Redis refused the row (${classifyRedisError(refused).code})` };
}
