import type { CallBuffer } from '../shape/call-buffer.ts';
import type { KafkaRecord, RecordFault, TopicPartition } from '../record.ts';

/** Writes a record that could not be stored, for the dead-letter stream. */
export function writeDeadLetter(
  out: CallBuffer,
  place: TopicPartition,
  record: KafkaRecord,
  fault: RecordFault,
  keepBytes: number,
  now: number,
): void {
  const { key, value, headers } = record;
  const isCut = (value?.length ?? 0) > keepBytes;
  const texts: readonly (readonly [string, string])[] = [
    ['topic', place.topic],
    ['partition', String(place.partition)],
    ['offset', record.offset],
    ['timestamp', record.timestamp],
    ['code', fault.code],
    ['reason', fault.reason],
    ['at', new Date(now).toISOString()],
    ...(headers === undefined || Object.keys(headers).length === 0
      ? []
      : ([['headers', JSON.stringify(headers, asText)]] as const)),
    ...(isCut ? ([['truncated', String(value?.length ?? 0)]] as const) : []),
  ];
  const buffers: readonly (readonly [string, Buffer | null])[] = [
    ['key', key],
    ['value', isCut ? (value?.subarray(0, keepBytes) ?? null) : value],
  ];
  const present = buffers.filter((pair): pair is readonly [string, Buffer] => pair[1] !== null);
  out.binary('f');
  out.binary(record.offset);
  out.binary('');
  out.binary(String((texts.length + present.length) * 2));
  for (const [name, text] of texts) {
    out.binary(name);
    out.text(text);
  }
  for (const [name, bytes] of present) {
    out.binary(name);
    out.bytes(bytes);
  }
}

/** Header values are bytes; JSON has text. */
function asText(this: unknown, _name: string, value: unknown): unknown {
  const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
  if (isBuffer && 'data' in value && Array.isArray(value.data))
    return Buffer.from(value.data as number[]).toString();
  return value;
}
