import { Command } from 'ioredis';
import { replyWord, SuiteError } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import type { EncodedCall } from './call.ts';

/** All that is sent. */
export type SentCall = Pick<EncodedCall, 'script' | 'keys' | 'bytes'>;

/** What became of a call of the apply script. */
export type Applied =
  | { readonly kind: 'done'; readonly suppressed: number; readonly dead: number }
  /** Redis stands elsewhere: another instance, a lost reply, a rewind; undefined when it has no position at all. */
  | { readonly kind: 'elsewhere'; readonly next: number | undefined }
  /** The ones before were applied; the record at this place was refused by Redis. */
  | {
      readonly kind: 'refused';
      readonly suppressed: number;
      readonly dead: number;
      readonly index: number;
      readonly next: number;
      readonly error: string;
    }
  /** The ones before were applied; there is no room for this one's dead letter. */
  | {
      readonly kind: 'full';
      readonly suppressed: number;
      readonly dead: number;
      readonly index: number;
      readonly next: number;
    };

/** A command whose bytes are there already; the library still matches its reply. */
class EncodedCommand extends Command {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    super('encoded');
    this.#bytes = bytes;
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}

/** A slow link to Redis gets this much more time per byte: a megabyte a second. */
const MS_PER_BYTE = 0.001;
/** A position that no partition has, so that the script does nothing. */
const NOWHERE = '-';

/** Sends calls of the apply script, one round trip each. */
export class RedisSink {
  readonly #connection: RedisConnection;
  readonly #timeoutMs: number;

  constructor(connection: RedisConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  /** What became of a dead letter: it took effect, is not there any more, was left alone since its key exists, or is refused again. */
  async replay(call: SentCall): Promise<'done' | 'gone' | 'exists' | 'refused'> {
    const answer = await this.#send(call, 'applying a dead letter');
    const kind: unknown = Array.isArray(answer) ? answer[0] : undefined;
    if (kind === 1) return 'done';
    if (kind === 0) return 'gone';
    return kind === 5 ? 'exists' : 'refused';
  }

  /** Rejects with a RedisCallError when Redis did not take the call as a whole; the same call may be sent again then. */
  async apply(call: SentCall): Promise<Applied> {
    return readAnswer(await this.#send(call, 'applying records'));
  }

  #send({ script, keys, bytes }: SentCall, doing: string): Promise<unknown> {
    const limit = Math.ceil(this.#timeoutMs + bytes.length * MS_PER_BYTE);
    return this.#connection.run(
      doing,
      async (client) => {
        const send = (): Promise<unknown> =>
          client.sendCommand(new EncodedCommand(bytes)) as Promise<unknown>;
        try {
          return await send();
        } catch (error) {
          if (replyWord(error) !== 'NOSCRIPT') throw error;
          // Called for a position that does not exist, it does nothing, and Redis knows it from then on.
          await client.callBuffer('EVAL', [script.lua, keys.length, ...keys, NOWHERE]);
          return await send();
        }
      },
      limit,
    );
  }
}

function readAnswer(answer: unknown): Applied {
  const [kind, ...rest] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
  const number = (at: number): number => Number(String(rest[at]));
  if (kind === 1) return { kind: 'done', suppressed: number(0), dead: number(1) };
  if (kind === 0) {
    const next = String(rest[0]);
    return { kind: 'elsewhere', next: next === '' ? undefined : Number(next) };
  }
  if (kind === 2 || kind === 4) {
    const common = { suppressed: number(0), dead: number(1), index: number(2), next: number(3) };
    return kind === 4 ? { kind: 'full', ...common } : { kind: 'refused', ...common, error: String(rest[4]) };
  }
  if (kind === 3) {
    throw new SuiteError(
      'REDIS_WRONG_TYPE',
      `applying records: the key ${String(rest[0])}, which this module keeps as a stream or index, holds something else; rename or delete it`,
      { retryable: true },
    );
  }
  throw new SuiteError('INTERNAL', 'applying records: Redis gave an answer that is none of the script');
}
