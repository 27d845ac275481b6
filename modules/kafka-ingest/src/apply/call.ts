import type { RedisScript } from '@iotedge-redis/common';
import { applyScript, scriptShape } from './apply-script.ts';
import { toBinary } from '../shape/binary-text.ts';
import { CallBuffer } from '../shape/call-buffer.ts';
import { writeDeadLetter } from './dead-letter.ts';
import { DEAD_LETTERS } from '../shape/own-keys.ts';
import type { PartitionKeys } from './positions.ts';
import type { FetchedBatch, KafkaRecord, RecordFault } from '../record.ts';
import type { Shape } from '../shape/shape.ts';
import { writeRecord } from '../shape/shaped-record.ts';

/** Bytes of a record that is too large that its dead letter keeps. */
const KEPT_BYTES = 65_536;

/** A script call, ready to be sent, and to be sent again. */
export interface EncodedCall {
  readonly script: RedisScript;
  readonly keys: readonly string[];
  readonly bytes: Buffer;
  /** The memory behind it, for another call once this one was answered. */
  readonly backing: Buffer;
  /** Position before and after. */
  readonly from: number;
  readonly next: number;
  /** Records that are read with it, faulty ones included. */
  readonly records: number;
  /** Of these, put away as dead letters. */
  readonly dead: number;
  /** Of these, left out by `onError: skip`. */
  readonly skipped: number;
  /** Faulty ones in a row at its end, those before it counted in. */
  readonly faultRun: number;
  /** Why the last of the run could not be stored. */
  readonly fault: RecordFault | undefined;
}

export interface CallOptions {
  readonly shape: Shape;
  readonly keys: PartitionKeys;
  readonly batch: FetchedBatch;
  /** Place in the batch's records to begin at. */
  readonly start: number;
  readonly from: number;
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** Faults that Redis found, by offset. */
  readonly known: ReadonlyMap<string, RecordFault>;
  readonly faultRun: number;
  /** The call ends with the record that makes so many faults in a row. */
  readonly faultLimit: number;
  /** Leave a faulty record alone: nothing is put away or skipped. */
  readonly isProbe: boolean;
  readonly spare: Buffer | undefined;
  readonly now: number;
}

/** A record that must stay where it is, and why. */
export interface Blocked {
  readonly blocked: KafkaRecord;
  readonly fault: RecordFault;
}

/** Makes one call of the records from a place on, or says why the first one must not be passed over. */
export function encodeCall(options: CallOptions): EncodedCall | Blocked {
  const { shape, keys, batch, start, from, known, isProbe } = options;
  const script = applyScript(scriptShape(shape));
  const names = [keys.position, keys.changes, DEAD_LETTERS, shape.index?.key ?? keys.position];
  const out = new CallBuffer(options.maxBytes + 4096, options.spare);
  for (const text of ['EVALSHA', script.sha, String(names.length), ...names.map(toBinary)]) out.binary(text);
  for (const number of [from, shape.changesLength, shape.deadLetterMax]) out.binary(String(number));

  const { records } = batch;
  let { faultRun } = options;
  let skipped = 0;
  let dead = 0;
  let last: RecordFault | undefined;
  let at = start;
  const most = Math.min(records.length, start + (isProbe ? 1 : options.maxRecords));
  for (; at < most && out.size < options.maxBytes; at += 1) {
    const record = records[at];
    if (record === undefined) break;
    const fault = known.get(record.offset) ?? writeRecord(out, shape, batch, record);
    if (fault === undefined) {
      faultRun = 0;
      continue;
    }
    if (isProbe || shape.onError === 'stop') {
      if (at === start) return { blocked: record, fault };
      break;
    }
    if (shape.onError === 'dlq') {
      writeDeadLetter(out, batch, record, fault, KEPT_BYTES, options.now);
      dead += 1;
    } else {
      skipped += 1;
    }
    faultRun += 1;
    last = fault;
    if (faultRun >= options.faultLimit) {
      at += 1;
      break;
    }
  }
  const previous = records[at - 1];
  const next = at >= records.length ? batch.end : Number(previous?.offset ?? from - 1) + 1;
  out.binary(String(next));
  out.binary(previous?.timestamp ?? '');
  return {
    script,
    keys: names,
    bytes: out.finish(),
    backing: out.backing,
    from,
    next,
    records: at - start,
    dead,
    skipped,
    faultRun,
    fault: last,
  };
}
