import { CommandBuffer, SuiteError, classifyRedisError, replyWord, sendEncoded } from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';
import { groupBySlot, writeGroup } from './cluster-rows.ts';
import type { Reject, Row } from './row.ts';
import { estimateBytes, writeRow, writeRows } from './row-commands.ts';

/** What Redis holds is not what this run left there: it was wiped, rolled back, or another run wrote. */
export class CheckpointLost extends SuiteError {
  constructor(place: string) {
    super('CONFLICT', `writing rows at ${place}: Redis does not hold the checkpoint that this run wrote`);
    this.name = 'CheckpointLost';
  }
}

/** Rows as commands, made while Redis is still at work on the batch before. */
export interface EncodedRows {
  readonly rows: readonly Row[];
  readonly commands: CommandBuffer;
}

export interface BatchWrite {
  readonly encoded: EncodedRows;
  /** Time-to-live counts from here, milliseconds since 1970. */
  readonly startedAt: number;
  /** The checkpoint as Redis has to hold it before, and what it becomes. */
  readonly before: string;
  readonly after: string;
  /** Further keys that belong to the same step. */
  readonly extras: readonly (readonly [key: string, value: Buffer])[];
}

/** A slow link to Redis gets this much more time per byte: a megabyte a second. */
const MS_PER_BYTE = 0.001;

/** Writes batches of rows, each with the checkpoint behind it. */
export class RedisSink {
  readonly #connection: RedisConnection;
  readonly #checkpointKey: string;
  readonly #isCluster: boolean;
  readonly #timeoutMs: number;
  /** False until Redis is known to hold what this run wrote last: after each new connection it has to be asked. */
  #isSure = false;
  /** A user whose ACL forbids MULTI gets its rows in a pipeline, and the checkpoint after their replies. */
  #canMulti = true;
  #spare: Buffer | undefined;

  constructor(connection: RedisConnection, checkpointKey: string, isCluster: boolean, timeoutMs: number) {
    this.#connection = connection;
    this.#checkpointKey = checkpointKey;
    this.#isCluster = isCluster;
    this.#timeoutMs = timeoutMs;
    connection.onStatus(() => {
      if (connection.status.state !== 'ready') this.#isSure = false;
    });
  }

  encode(rows: readonly Row[], startedAt: number): EncodedRows {
    const commands = new CommandBuffer(this.#isCluster ? 0 : estimateBytes(rows) + 2048, this.#spare);
    this.#spare = undefined;
    if (!this.#isCluster) {
      commands.begin(1);
      commands.text('MULTI');
      writeRows(commands, rows, startedAt);
    }
    return { rows, commands };
  }

  load(): Promise<string | null> {
    return this.#connection.run('reading the checkpoint', (client) => client.get(this.#checkpointKey));
  }

  /** Writes the first checkpoint of a run, over whatever is there. */
  async begin(text: string): Promise<void> {
    await this.#connection.run('writing the checkpoint', (client) => client.set(this.#checkpointKey, text));
    this.#isSure = true;
  }

  /**
   * Brings the rows into Redis, in order. Resolves with the rows that Redis refused for good. Rejects when it has to be
   * called again with the same batch, or with CheckpointLost.
   */
  async write(batch: BatchWrite): Promise<readonly Reject[]> {
    if (!this.#isSure) {
      const held = await this.load();
      if (held === batch.after) {
        this.#isSure = true;
        return [];
      }
      if (held !== batch.before) throw new CheckpointLost(this.#connection.place);
      this.#isSure = true;
    }
    try {
      if (this.#isCluster || !this.#canMulti) return await this.#writeApart(batch);
      return await this.#writeTogether(batch);
    } catch (error) {
      // Whether it took effect is to be found out before anything else is written.
      this.#isSure = false;
      throw error;
    }
  }

  /** Deletes keys; used by the mirror sweep. */
  async unlink(keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    await this.#connection.run('deleting keys that the file no longer holds', async (client) => {
      if (this.#isCluster) await Promise.all(keys.map((key) => client.unlink(key)));
      else await client.unlink(...keys);
    });
  }

  async #writeTogether(batch: BatchWrite): Promise<readonly Reject[]> {
    const { rows, commands } = batch.encoded;
    // The same rows may have to be sent again, behind another checkpoint.
    const out = commands.copyable();
    for (const [key, value] of batch.extras) {
      out.begin(3);
      out.text('SET');
      out.text(key);
      out.buffer(value);
    }
    out.begin(3);
    // The old value comes back, and shows whether Redis was wiped meanwhile.
    out.text('GETSET');
    out.text(this.#checkpointKey);
    out.text(batch.after);
    out.begin(1);
    out.text('EXEC');
    const results = await this.#send(out, rows.length);
    const refused = results.find((result) => result instanceof Error);
    const last = results.at(-1);
    if (refused === undefined && Array.isArray(last) && !last.some((result) => result instanceof Error)) {
      const held: unknown = last.at(-1);
      if (String(held) === batch.before) {
        // Its replies are here, so nobody reads these bytes any more.
        this.#spare = out.backing;
        return [];
      }
      await this.#putBack(held);
      throw new CheckpointLost(this.#connection.place);
    }
    if (results[0] instanceof Error && replyWord(results[0]) === 'NOPERM') this.#canMulti = false;
    // The transaction as a whole was refused for the sake of some row: find out which.
    return this.#writeApart(batch);
  }

  /** Rows that were there are gone, so the checkpoint must not claim them. */
  async #putBack(held: unknown): Promise<void> {
    await this.#connection.run('putting the checkpoint back', async (client) => {
      if (Buffer.isBuffer(held)) await client.set(this.#checkpointKey, held);
      else await client.del(this.#checkpointKey);
    });
  }

  async #writeApart(batch: BatchWrite): Promise<readonly Reject[]> {
    const rejects = this.#isCluster ? await this.#writeBySlot(batch) : await this.#writeOneByOne(batch);
    await this.#connection.run('writing the checkpoint', async (client) => {
      for (const [key, value] of batch.extras) await client.set(key, value);
      await client.set(this.#checkpointKey, batch.after);
    });
    return rejects;
  }

  /** Every row by itself, all in one pipeline. */
  async #writeOneByOne({ encoded: { rows }, startedAt }: BatchWrite): Promise<Reject[]> {
    const out = new CommandBuffer(estimateBytes(rows) * 2);
    const ends: number[] = [];
    for (const row of rows) {
      writeRow(out, row, startedAt);
      ends.push(out.count);
    }
    const results = await this.#send(out, rows.length);
    const rejects: Reject[] = [];
    rows.forEach((row, index) => {
      const replies = results.slice(ends[index - 1] ?? 0, ends[index]);
      const refused = replies.find((reply) => reply instanceof Error);
      if (refused !== undefined) rejects.push(refusal(row, refused));
    });
    return rejects;
  }

  /** Each key's last row decides, so the order of different keys does not matter between nodes. */
  async #writeBySlot({ encoded: { rows }, startedAt }: BatchWrite): Promise<Reject[]> {
    const groups = groupBySlot(rows);
    return this.#connection.run(
      'writing rows',
      async (client) => {
        const rejects: Reject[] = [];
        const write = async (group: readonly Row[]): Promise<void> => {
          try {
            await writeGroup(client, group, startedAt);
          } catch (error) {
            if (replyWord(error) === undefined || !(error instanceof Error) || isPassing(error)) throw error;
            // Some row of several is to blame: find out which.
            if (group.length > 1) for (const row of group) await write([row]);
            else for (const row of group) rejects.push(refusal(row, error));
          }
        };
        await Promise.all(groups.map(write));
        return rejects;
      },
      this.#limit(estimateBytes(rows)),
    );
  }

  /** Resolves with one result per command; error replies are results, a lost connection rejects. */
  #send(out: CommandBuffer, rows: number): Promise<unknown[]> {
    const doing = rows === 1 ? 'writing a row' : `writing ${rows} rows`;
    return this.#connection.run(doing, (client) => sendRows(client, out), this.#limit(out.bytes.length));
  }

  #limit(bytes: number): number {
    return Math.ceil(this.#timeoutMs + bytes * MS_PER_BYTE);
  }
}

/** True for what may be otherwise later: no room, no primary, still loading. */
function isPassing(error: Error): boolean {
  return classifyRedisError(error).retryable;
}

function refusal(row: Row, refused: Error): Reject {
  return { line: row.line, reason: `Redis refused the row (${classifyRedisError(refused).code})` };
}

/** Refusals for good are results; a passing one rejects, so that the connection hears of it. */
async function sendRows(client: RedisClient, out: CommandBuffer): Promise<unknown[]> {
  const replies = await sendEncoded(client, out);
  for (const reply of replies)
    if (reply instanceof Error && (replyWord(reply) === undefined || isPassing(reply))) throw reply;
  return replies;
}
