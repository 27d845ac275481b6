import { isAscii, isUtf8 } from 'node:buffer';
import type { CallBuffer } from './call-buffer.ts';
import { fromBinary } from './binary-text.ts';
import { FlatFields } from './flat-fields.ts';
import type { JsonFields, NumberWatch } from './json-fields.ts';
import { flatten, isJson, parseFields, parseFieldsExactly, valueText } from './json-fields.ts';
import { isOwnKey } from './own-keys.ts';
import type { KafkaRecord, RecordFault, TopicPartition } from '../record.ts';
import type { Shape } from './shape.ts';
import { DELETED, UPDATED } from './shape.ts';
import type { Filled, Template, TemplateScope } from './template.ts';
import { ttlMs } from './ttl.ts';

/** Most arguments of one command inside of the script. */
const MANY = 4000;
const TOO_DEEP: RecordFault = { code: 'BAD_VALUE', reason: 'the value is nested too deeply' };
const NO_TIME: RecordFault = { code: 'BAD_TTL', reason: 'the time to live is no number of seconds' };
/** Its room is used again for each record. */
const flat = new FlatFields();
/** For what has no numbers that could be rounded. */
const UNWATCHED: NumberWatch = { isRounded: false, text: '' };

/**
 * Writes what a record does to Redis as arguments of the script, or returns why it cannot be done, in which case nothing was
 * written. The script's side of this form is in apply-script.ts.
 */
export function writeRecord(
  out: CallBuffer,
  shape: Shape,
  place: TopicPartition,
  record: KafkaRecord,
): RecordFault | undefined {
  const { value } = record;
  if (record.fault !== undefined) return record.fault;
  if ((value?.length ?? 0) + (record.key?.length ?? 0) > shape.maxRecordBytes)
    return { code: 'TOO_LARGE', reason: `the record is larger than ${shape.maxRecordBytes} bytes` };
  if (value === null) return writeTombstone(out, shape, place, record);
  const isHash = shape.mode === 'hash' || shape.mode === 'hash-replace';
  if (!isHash && !needsFields(shape)) {
    if (shape.mode === 'json' && !(isUtf8(value) && isJson(value.toString())))
      return { code: 'BAD_JSON', reason: 'the value is no JSON in UTF-8' };
    return writeShaped(out, shape, place, record, value, undefined, { isRounded: false, text: '' });
  }
  if (isHash && shape.ttl.field === undefined && flat.read(value) && !flat.isEmptyWithout(shape.excluded))
    return writeFlat(out, shape, place, record);
  // What is no UTF-8 would be stored as something else than what was sent.
  if (!isUtf8(value)) return { code: 'BAD_JSON', reason: 'the value is not UTF-8, as JSON is' };
  const text = value.toString();
  const fields = parseFields(text);
  if (fields === undefined) return { code: 'BAD_JSON', reason: 'the value is no JSON object' };
  const watch = { isRounded: false, text };
  const before = out.mark();
  try {
    const fault = writeShaped(out, shape, place, record, value, fields, watch, text);
    if (!watch.isRounded) return fault;
    out.reset(before);
    const exact = parseFieldsExactly(text);
    return exact === undefined ? TOO_DEEP : writeShaped(out, shape, place, record, value, exact, watch, text);
  } catch (error) {
    // What is read without recursion can be nested deeper than what is written with it.
    if (!(error instanceof RangeError)) throw error;
    out.reset(before);
    return TOO_DEEP;
  }
}

/** Writes a record whose fields stand in its bytes as they are stored. */
function writeFlat(
  out: CallBuffer,
  shape: Shape,
  place: TopicPartition,
  record: KafkaRecord,
): RecordFault | undefined {
  const ttl = ttlMs(shape.ttl, record, undefined);
  if (ttl === undefined) return NO_TIME;
  const { topic, partition } = place;
  const scope = { record, topic, partition, fields: undefined, flat, db: shape.db, watch: UNWATCHED };
  const names = fillNames(shape, scope, shape.key, shape.index?.member);
  if ('code' in names) return names;
  const isReplaced = shape.mode === 'hash-replace';
  const isShort = !isReplaced && ttl === 0;
  writeNames(out, isShort ? 'h' : isReplaced ? 'r' : 'm', record, names, shape, place);
  if (!isShort) out.binary(String(ttl));
  if (!isShort && !isReplaced) out.binary('0');
  flat.write(out, shape.excluded);
  return undefined;
}

function writeShaped(
  out: CallBuffer,
  shape: Shape,
  place: TopicPartition,
  record: KafkaRecord,
  value: Buffer,
  fields: JsonFields | undefined,
  watch: NumberWatch,
  text = '',
): RecordFault | undefined {
  const ttl = ttlMs(shape.ttl, record, fields);
  if (ttl === undefined) return NO_TIME;
  const scope = { record, topic: place.topic, partition: place.partition, fields, db: shape.db, watch };
  const names = fillNames(shape, scope, shape.key, shape.index?.member);
  if ('code' in names) return names;
  if (fields !== undefined && (shape.mode === 'hash' || shape.mode === 'hash-replace')) {
    // Without an escape nothing in it can be anything but ASCII.
    const isPlain = isAscii(value) && !text.includes('\\');
    writeFields(out, shape, record, names, place, { fields, watch, isPlain }, ttl);
    return undefined;
  }
  writeNames(out, ttl > 0 ? 't' : 's', record, names, shape, place);
  if (ttl > 0) out.binary(String(ttl));
  out.bytes(value);
  return undefined;
}

interface Names {
  readonly key: string;
  readonly channel: string | undefined;
  readonly member: string | undefined;
}

function needsFields(shape: Shape): boolean {
  return (
    shape.key.needsFields ||
    shape.ttl.field !== undefined ||
    shape.index?.member.needsFields === true ||
    shape.channel?.needsFields === true
  );
}

function writeTombstone(
  out: CallBuffer,
  shape: Shape,
  place: TopicPartition,
  record: KafkaRecord,
): RecordFault | undefined {
  const watch = { isRounded: false, text: '' };
  const { topic, partition } = place;
  const scope = { record, topic, partition, fields: undefined, db: shape.db, watch };
  const names = fillNames(shape, scope, shape.tombstoneKey, shape.index?.tombstoneMember);
  if ('code' in names) return names;
  writeNames(out, 'd', record, names, shape, place);
  return undefined;
}

function fillNames(
  shape: Shape,
  scope: TemplateScope,
  keyTemplate: Template,
  memberTemplate: Template | undefined,
): Names | RecordFault {
  const key = keyTemplate.fill(scope);
  if ('missing' in key) return missing('key', key, scope);
  if (key.text === '') return { code: 'NO_KEY', reason: 'the key is empty' };
  if (isOwnKey(key.text))
    return { code: 'REFUSED', reason: 'the key is one that is kept for this suite itself' };
  if (key.text === shape.index?.keyBytes) return { code: 'REFUSED', reason: 'the key is that of the index' };
  const { payload, channel: channelTemplate } = shape;
  const hasChannel = channelTemplate !== undefined && payload !== 'none';
  if (!hasChannel && memberTemplate === undefined)
    return { key: key.text, channel: undefined, member: undefined };
  const full = { ...scope, redisKey: key.text };
  const channel = hasChannel ? channelTemplate.fill(full) : undefined;
  if (channel !== undefined && 'missing' in channel) return missing('channel', channel, scope);
  const member = memberTemplate?.fill(full);
  if (member !== undefined && 'missing' in member) return missing('member of the index', member, scope);
  return { key: key.text, channel: channel?.text, member: member?.text };
}

function missing(
  what: string,
  filled: Filled & { readonly missing: string },
  scope: TemplateScope,
): RecordFault {
  const who = scope.record.value === null && !filled.missing.startsWith('@') ? 'a tombstone' : 'the record';
  return { code: 'NO_KEY', reason: `the ${what} needs {${filled.missing}}, which ${who} does not have` };
}

/** What every record begins with. */
function writeNames(
  out: CallBuffer,
  op: string,
  record: KafkaRecord,
  names: Names,
  shape: Shape,
  place: TopicPartition,
): void {
  out.binary(op);
  out.binary(record.offset);
  out.binary(names.key);
  if (names.channel !== undefined) out.binary(names.channel);
  if (shape.payload === 'json') out.text(notice(op, record, names.key, place));
  if (names.member !== undefined) out.binary(names.member);
}

/** The notice but for its last field, which only the script knows. */
function notice(op: string, record: KafkaRecord, key: string, { topic, partition }: TopicPartition): string {
  const head = JSON.stringify({
    key: fromBinary(key),
    op: op === 'd' ? DELETED : UPDATED,
    ver: Number(record.offset),
    topic,
    partition,
    offset: Number(record.offset),
    ts: Number(record.timestamp),
  });
  return `${head.slice(0, -1)},"changed":`;
}

interface Fields {
  readonly fields: JsonFields;
  readonly watch: NumberWatch;
  /** Names and values are ASCII throughout. */
  readonly isPlain: boolean;
}

function writeFields(
  out: CallBuffer,
  shape: Shape,
  record: KafkaRecord,
  names: Names,
  place: TopicPartition,
  { fields, watch, isPlain }: Fields,
  ttl: number,
): void {
  const set: string[] = [];
  const removed: string[] = [];
  const add = (name: string, value: unknown): void => {
    if (shape.excluded.size > 0 && shape.excluded.has(name)) return;
    if (value === null) removed.push(name);
    else set.push(name, valueText(value, watch));
  };
  if (shape.nested === 'flatten') flatten(fields, add);
  else for (const name in fields) add(name, fields[name]);
  const isReplaced = shape.mode === 'hash-replace';
  const isShort = !isReplaced && ttl === 0 && removed.length === 0 && set.length > 0 && set.length <= MANY;
  writeNames(out, isShort ? 'h' : isReplaced ? 'r' : 'm', record, names, shape, place);
  if (!isShort) {
    out.binary(String(ttl));
    if (!isReplaced) {
      out.binary(String(removed.length));
      for (const name of removed) out.text(name);
    }
  }
  out.binary(String(set.length));
  if (isPlain) for (const text of set) out.binary(text);
  else for (const text of set) out.text(text);
}
