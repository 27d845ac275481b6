import type { RedisConnection } from '@iotedge-redis/common';
import { applyScript, scriptShape } from './apply/apply-script.ts';
import { toBinary } from './shape/binary-text.ts';
import { CallBuffer } from './shape/call-buffer.ts';
import { DEAD_LETTERS } from './shape/own-keys.ts';
import { changesKey } from './apply/positions.ts';
import type { KafkaRecord, TopicPartition } from './record.ts';
import type { RedisSink, SentCall } from './apply/redis-sink.ts';
import type { Shape } from './shape/shape.ts';
import { writeRecord } from './shape/shaped-record.ts';

export interface ReplayRequest {
  /** Most dead letters to try, the oldest first. */
  readonly limit: number;
  /** Only those of this topic. */
  readonly topic: string | undefined;
  /** Leave keys alone that exist by now, and their dead letters where they are. */
  readonly onlyIfAbsent: boolean;
  /** Only those behind this entry, where an earlier call has ended. */
  readonly after: string | undefined;
}

export interface ReplayResult {
  /** Took effect, and are dead letters no more. */
  readonly replayed: number;
  /** Cannot be stored still. */
  readonly failed: number;
  /** Left where they are since their key exists. */
  readonly left: number;
  /** There are more behind this entry. */
  readonly continuation?: string;
}

/** Entries that are read at once: each may be as large as a record. */
const PAGE = 16;

interface DeadLetter extends TopicPartition {
  readonly id: string;
  readonly record: KafkaRecord;
  readonly isCut: boolean;
}

/**
 * Puts dead letters through again, oldest first, under the settings of now: each takes effect and is removed in one step. It is
 * stored as if it had arrived now, so it covers what a later record of its key has left, unless `onlyIfAbsent`.
 */
export async function replayDeadLetters(
  connection: RedisConnection,
  sink: RedisSink,
  shape: Shape,
  request: ReplayRequest,
): Promise<ReplayResult> {
  const counts = { replayed: 0, failed: 0, left: 0 };
  let after = request.after;
  for (let tried = 0; ;) {
    const start = after === undefined ? '-' : `(${after}`;
    const entries = await connection.run('reading dead letters', (client) =>
      client.xrangeBuffer(DEAD_LETTERS, start, '+', 'COUNT', PAGE),
    );
    if (entries.length === 0) return counts;
    for (const entry of entries) {
      const letter = readLetter(entry);
      if (request.topic !== undefined && letter?.topic !== request.topic) {
        after = String(entry[0]);
        continue;
      }
      // Only now is it known that one is left.
      if (tried === request.limit) return after === undefined ? counts : { ...counts, continuation: after };
      tried += 1;
      after = String(entry[0]);
      const call =
        letter === undefined || letter.isCut ? undefined : encodeReplay(shape, letter, request.onlyIfAbsent);
      const outcome = call === undefined ? 'refused' : await sink.replay(call);
      if (outcome === 'done') counts.replayed += 1;
      else if (outcome === 'refused') counts.failed += 1;
      else if (outcome === 'exists') counts.left += 1;
    }
  }
}

/** The call for one dead letter; undefined when it is a record that cannot be stored still. */
function encodeReplay(shape: Shape, letter: DeadLetter, onlyIfAbsent: boolean): SentCall | undefined {
  const script = applyScript(scriptShape(shape), 'replay');
  const keys = [DEAD_LETTERS, changesKey(letter), DEAD_LETTERS, shape.index?.key ?? DEAD_LETTERS];
  const out = new CallBuffer(4096);
  for (const text of ['EVALSHA', script.sha, String(keys.length), ...keys.map(toBinary)]) out.binary(text);
  for (const text of [letter.id, String(shape.changesLength), onlyIfAbsent ? '1' : '0']) out.binary(text);
  if (writeRecord(out, shape, letter, letter.record) !== undefined) return undefined;
  // Where a batch has its position and timestamp.
  out.binary('');
  out.binary('');
  return { script, keys, bytes: out.finish() };
}

/** Reads back what was written by `writeDeadLetter`; undefined for an entry that is none. */
export function readLetter([id, pairs]: [Buffer, Buffer[]]): DeadLetter | undefined {
  const fields = new Map<string, Buffer>();
  for (let at = 0; at + 1 < pairs.length; at += 2)
    fields.set(String(pairs[at]), pairs[at + 1] ?? Buffer.alloc(0));
  const text = (name: string): string => String(fields.get(name) ?? '');
  const topic = text('topic');
  const [partition, offset, timestamp] = [text('partition'), text('offset'), text('timestamp')];
  if (topic === '' || !/^\d+$/.test(partition) || !/^\d+$/.test(offset)) return undefined;
  const headers = readHeaders(text('headers'));
  if (headers === 'broken') return undefined;
  return {
    id: String(id),
    topic,
    partition: Number(partition),
    isCut: fields.has('truncated') || text('code') === 'BAD_BATCH',
    record: {
      offset,
      timestamp,
      key: fields.get('key') ?? null,
      value: fields.get('value') ?? null,
      headers,
    },
  };
}

/** Headers by name; anybody may write to the stream, so they need not be as they were written here. */
function readHeaders(json: string): Record<string, string | string[]> | undefined | 'broken' {
  if (json === '') return undefined;
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'broken';
    return Object.values(value).every(isHeader) ? (value as Record<string, string | string[]>) : 'broken';
  } catch {
    return 'broken';
  }
}

function isHeader(value: unknown): boolean {
  const given: readonly unknown[] = Array.isArray(value) ? value : [value];
  return given.every((each) => each === null || typeof each === 'string');
}
