import { idTimestamp } from '../streams/entry-id.ts';
import { fieldOf } from './filter.ts';
import type { Pairs } from './filter.ts';
import { textOf } from './text-of.ts';

export const EXTRAS = ['publishedAt', 'db', 'deliveryCount'] as const;
export type Extra = (typeof EXTRAS)[number];

export interface PayloadRules {
  /** `raw`: the bytes of one field are the payload. */
  readonly format: 'json' | 'raw';
  readonly rawField: string;
  /** Fields to publish, in this order; all in the entry's order when empty. */
  readonly select: readonly string[];
  readonly rename: Readonly<Record<string, string>>;
  readonly parseNumbers: boolean;
  readonly extras: readonly Extra[];
}

export interface PayloadSource {
  readonly stream: string;
  readonly db: number;
}

export interface EntryFacts {
  readonly id: string;
  readonly pairs: Pairs;
  readonly deliveryCount: number;
  /** For `publishedAt`, ISO-8601. */
  readonly now: () => string;
}

export type PayloadResult = { readonly payload: Buffer } | { readonly problem: string };

/** Builds payloads for one stream; what is the same for all entries is prepared once. */
export function createPayloads(
  rules: PayloadRules,
  source: PayloadSource,
): (entry: EntryFacts) => PayloadResult {
  if (rules.format === 'raw') {
    return ({ pairs }) => {
      const payload = fieldOf(pairs, rules.rawField);
      return payload === undefined
        ? { problem: `the payload is the field ${rules.rawField}, which the entry lacks` }
        : { payload };
    };
  }
  const head = `{"stream":${JSON.stringify(source.stream)},"id":"`;
  // A map: fields may be called like what every object has.
  const renames = new Map(Object.entries(rules.rename));
  const data = dataWriter(rules, renames);
  const extras = rules.extras.length > 0;
  let lastTime = '';
  let lastStamp = '';
  return (entry) => {
    const { id, pairs } = entry;
    const milliseconds = id.slice(0, id.indexOf('-'));
    // Neighbours in a busy stream share the millisecond.
    if (milliseconds !== lastTime) {
      lastTime = milliseconds;
      lastStamp = idTimestamp(id);
    }
    let text = `${head}${id}","data":${data(pairs)},"timestamp":"${lastStamp}"`;
    if (hasBinary(pairs)) text += binaryFlags(rules.select, renames, pairs);
    if (extras) text += extraFields(rules.extras, source, entry);
    return { payload: Buffer.from(`${text}}`) };
  };
}

type Renames = ReadonlyMap<string, string>;

function dataWriter(rules: PayloadRules, renames: Renames): (pairs: Pairs) => string {
  const { parseNumbers } = rules;
  // Names repeat from entry to entry: their JSON form is kept, for a bounded number of them.
  const names = new Map<string, string>();
  const nameText = (given: string): string => {
    let json = names.get(given);
    if (json === undefined) {
      json = `${JSON.stringify(renames.get(given) ?? given)}:`;
      if (names.size < 1000) names.set(given, json);
    }
    return json;
  };
  return (given) => {
    const pairs = rules.select.length > 0 ? selected(given, rules.select) : given;
    let text = '{';
    let seen = '';
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const name = nameText(jsonName(pairs[at]));
      // Two fields of one name would make a JSON that readers understand differently.
      if (seen.includes(name)) return `{${uniquePairs(pairs, renames, parseNumbers)}}`;
      seen += name;
      text += (at === 0 ? '' : ',') + name + valueText(pairs[at + 1], parseNumbers);
    }
    return `${text}}`;
  };
}

/** The last value of a name counts, as it does where the entry is read into a map. */
function uniquePairs(pairs: Pairs, renames: Renames, parseNumbers: boolean): string {
  const byName = new Map<string, string>();
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const given = jsonName(pairs[at]);
    byName.set(JSON.stringify(renames.get(given) ?? given), valueText(pairs[at + 1], parseNumbers));
  }
  return [...byName].map(([name, value]) => `${name}:${value}`).join(',');
}

function selected(pairs: Pairs, select: readonly string[]): Buffer[] {
  return select.flatMap((name) => {
    const value = fieldOf(pairs, name);
    return value === undefined ? [] : [Buffer.from(name), value];
  });
}

function jsonName(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : (textOf(bytes) ?? bytes.toString('base64'));
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$/;

function valueText(bytes: Buffer | undefined, parseNumbers: boolean): string {
  if (bytes === undefined) return '""';
  const text = textOf(bytes);
  if (text === undefined) return `"${bytes.toString('base64')}"`;
  return parseNumbers && isExactNumber(text) ? text : JSON.stringify(text);
}

/** The smallest double with all of its digits. */
const MIN_NORMAL = 2 ** -1022;

/** Its text goes out as it is, so only what every reader's double holds without loss counts as a number. */
function isExactNumber(text: string): boolean {
  if (!NUMBER.test(text)) return false;
  const digits = text.replace(/[eE].*$/, '').replaceAll(/[-.]/g, '');
  if (digits.length > 15) return false;
  // Too small is as lost as too large. A zero with a sign is one to some readers only.
  if (!/[1-9]/.test(digits)) return !text.startsWith('-');
  const size = Math.abs(Number(text));
  return size >= MIN_NORMAL && size < Infinity;
}

function hasBinary(pairs: Pairs): boolean {
  for (const bytes of pairs) if (isBinary(bytes)) return true;
  return false;
}

function isBinary(bytes: Buffer): boolean {
  // Plain ASCII is the common case and decoding is repeated for what is not.
  for (const byte of bytes) if (byte > 0x7f) return textOf(bytes) === undefined;
  return false;
}

/** Names the fields whose value, or whose name itself, stands in base64. */
function binaryFlags(select: readonly string[], renames: Renames, given: Pairs): string {
  const pairs = select.length > 0 ? selected(given, select) : given;
  const values = new Set<string>();
  const names = new Set<string>();
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const name = jsonName(pairs[at]);
    const published = renames.get(name) ?? name;
    const nameBytes = pairs[at];
    const valueBytes = pairs[at + 1];
    if (nameBytes !== undefined && isBinary(nameBytes)) names.add(published);
    if (valueBytes !== undefined && isBinary(valueBytes)) values.add(published);
    else values.delete(published);
  }
  return (
    (values.size > 0 ? `,"base64":${JSON.stringify([...values])}` : '') +
    (names.size > 0 ? `,"base64Names":${JSON.stringify([...names])}` : '')
  );
}

function extraFields(extras: readonly Extra[], source: PayloadSource, entry: EntryFacts): string {
  let text = '';
  for (const extra of extras) {
    switch (extra) {
      case 'publishedAt':
        text += `,"publishedAt":"${entry.now()}"`;
        break;
      case 'db':
        text += `,"db":${source.db}`;
        break;
      case 'deliveryCount':
        text += `,"deliveryCount":${entry.deliveryCount}`;
        break;
    }
  }
  return text;
}
