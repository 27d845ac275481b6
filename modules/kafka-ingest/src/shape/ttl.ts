import type { JsonFields } from './json-fields.ts';
import { scalarText, valueAt } from './json-fields.ts';
import type { KafkaRecord } from '../record.ts';
import { headerText } from '../record.ts';

export interface TtlRules {
  /** Seconds for records that say nothing themselves; 0 is for ever. */
  readonly seconds: number;
  /** Name of a header that holds seconds. */
  readonly header: string | undefined;
  /** Name of a JSON field that holds seconds; it counts before the header. */
  readonly field: string | undefined;
}

/** Redis takes no larger time to live. */
const MAX_SECONDS = 1e12;

/** Milliseconds to live, 0 for ever; undefined when the record says something that is no time. */
export function ttlMs(
  rules: TtlRules,
  record: KafkaRecord,
  fields: JsonFields | undefined,
): number | undefined {
  const { field, header, seconds } = rules;
  if (field !== undefined && fields !== undefined) {
    const text = scalarText(valueAt(fields, field, field.split('.')));
    if (text !== undefined) return milliseconds(text);
  }
  const text = header === undefined ? undefined : headerText(record.headers, header);
  return text === undefined ? seconds * 1000 : milliseconds(text);
}

function milliseconds(text: string): number | undefined {
  const seconds = text.trim() === '' ? NaN : Number(text);
  if (!(seconds >= 0 && seconds <= MAX_SECONDS)) return undefined;
  // What is shorter than Redis can count is not for ever.
  return seconds === 0 ? 0 : Math.max(1, Math.round(seconds * 1000));
}
