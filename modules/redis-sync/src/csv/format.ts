import { RecordScanner } from './record-scanner.ts';
import type { Found } from './record-scanner.ts';
import { UnquotedFields, fieldsOf } from './record-fields.ts';
import type { Malformation, ValueType } from '../rows/row.ts';

export const COLUMNS = ['key', 'value', 'ttl', 'type', 'op'] as const;
export type Column = (typeof COLUMNS)[number];

export const DELIMITERS = { comma: ',', semicolon: ';', tab: '\t', colon: ':', pipe: '|' } as const;
export type DelimiterName = keyof typeof DELIMITERS;

/** How one file is read: found out once, kept in the checkpoint, so that a resumed run reads on in the same way. */
export interface Format {
  readonly delimiter: DelimiterName;
  readonly hasHeader: boolean;
  /** What each column is; a text in `field:NAME` form is a field of a hash. */
  readonly columns: readonly string[];
}

export interface FormatSettings {
  readonly csvDelimiter: DelimiterName | 'auto';
  readonly csvHeader: 'auto' | 'present' | 'absent';
  readonly valueType: ValueType;
  readonly maxRecordBytes: number;
}

export type FormatResult = { readonly format: Format } | { readonly problem: string };

const SAMPLE_RECORDS = 100;
/** The sample is looked at piece by piece: it is a large block of the file, whose first records are far less. */
const PIECE_BYTES = 64 * 1024;
const NEUTRAL: ReadonlySet<Malformation> = new Set(['longer than maxRecordBytes', 'not UTF-8']);
const CANDIDATES: readonly DelimiterName[] = ['comma', 'semicolon', 'tab'];
export const FIELD_PREFIX = 'field:';

/** True when the sample is enough to decide by. */
export function isSampleEnough(sample: Buffer): boolean {
  let lines = 0;
  for (let at = 0; at < sample.length && lines <= SAMPLE_RECORDS; at += 1) {
    const byte = sample[at];
    if (byte === 0x0a || byte === 0x0d) lines += 1;
  }
  return lines > SAMPLE_RECORDS;
}

/**
 * Decides how the file is written by its first records: a header decides; else exactly one delimiter has to fit every
 * record. Undefined when there is no record at all.
 */
export function detectFormat(
  sample: Buffer,
  isWhole: boolean,
  settings: FormatSettings,
): FormatResult | undefined {
  const lines = readSample(sample, isWhole, 'colon', settings.maxRecordBytes);
  if (lines.seen === 0) return undefined;
  if (settings.csvDelimiter !== 'auto') return explicit(sample, isWhole, settings.csvDelimiter, settings);

  const withHeader: Format[] = [];
  const fitting: Format[] = [];
  for (const delimiter of CANDIDATES) {
    const { first, counts } = readSample(sample, isWhole, delimiter, settings.maxRecordBytes);
    const header = settings.csvHeader === 'absent' ? undefined : readHeader(first, settings);
    if (header !== undefined && 'columns' in header) {
      withHeader.push({ delimiter, hasHeader: true, columns: header.columns });
    } else if (counts.every((count) => count === 1)) {
      fitting.push({ delimiter, hasHeader: false, columns: COLUMNS.slice(0, 2) });
    }
  }
  const [decided] = withHeader;
  if (decided !== undefined && withHeader.length === 1) return { format: decided };
  if (settings.csvHeader !== 'present' && lines.counts.every((count) => count >= 1)) fitting.push(PAIRS);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1 && settings.csvHeader !== 'present') return { format: only };
  const names = [...new Set([...withHeader, ...fitting].map(({ delimiter }) => delimiter))];
  const found =
    names.length > 1
      ? `${names.join(' and ')} fit equally well`
      : settings.csvHeader === 'present'
        ? 'no header with known column names (key, value, ttl, type, op) was found'
        : `no delimiter occurs equally often in each of the first ${lines.counts.length} records`;
  return {
    problem: `${found}; set csvDelimiter to one of ${Object.keys(DELIMITERS).join(', ')}, or give the file a header with the columns key,value`,
  };
}

const PAIRS: Format = { delimiter: 'colon', hasHeader: false, columns: COLUMNS.slice(0, 2) };

function explicit(
  sample: Buffer,
  isWhole: boolean,
  delimiter: DelimiterName,
  settings: FormatSettings,
): FormatResult {
  const { first } = readSample(sample, isWhole, delimiter, settings.maxRecordBytes);
  if (delimiter === 'colon') {
    return { format: settings.csvHeader === 'present' ? { ...PAIRS, hasHeader: true } : PAIRS };
  }
  const header = settings.csvHeader === 'absent' ? undefined : readHeader(first, settings);
  if (header !== undefined && 'columns' in header) {
    return { format: { delimiter, hasHeader: true, columns: header.columns } };
  }
  if (settings.csvHeader === 'present') {
    return {
      problem: `the first record is no header: ${header?.problem ?? 'it cannot be read'}; correct it or set csvHeader to absent`,
    };
  }
  return { format: { delimiter, hasHeader: false, columns: COLUMNS } };
}

interface Sample {
  /** Fields of the first record, undefined when it cannot be read. */
  readonly first: readonly Buffer[] | undefined;
  /** Delimiters in each record, outside of quotes. */
  readonly counts: readonly number[];
  /** Records that were there, readable or not. */
  readonly seen: number;
}

function readSample(
  sample: Buffer,
  isWhole: boolean,
  delimiter: DelimiterName,
  maxRecordBytes: number,
): Sample {
  const byte = DELIMITERS[delimiter].charCodeAt(0);
  const scanner = new RecordScanner({ delimiter: byte, isPair: delimiter === 'colon', maxRecordBytes });
  let given = 0;
  const next = (): Found => {
    for (;;) {
      const found = scanner.next();
      if (found !== 'more' || given === sample.length) return found;
      const from = given;
      given = Math.min(sample.length, from + PIECE_BYTES);
      scanner.append(sample.subarray(from, given));
      if (isWhole && given === sample.length) scanner.finish();
    }
  };
  let first: readonly Buffer[] | undefined;
  const counts: number[] = [];
  let seen = 0;
  for (let records = 0; records < SAMPLE_RECORDS; records += 1) {
    const found = next();
    if (found === 'more' || found === 'end') break;
    seen += 1;
    // Such a record says nothing about the delimiter; it is reported when its turn comes.
    if (found === 'bad' && NEUTRAL.has(scanner.malformation)) continue;
    let fields: readonly Buffer[] | undefined;
    if (found === 'plain') fields = fieldsOf(scanner);
    if (found === 'quoted') {
      fields = fieldsOf(new UnquotedFields().take(scanner.block, scanner.start, scanner.end, byte));
    }
    // A copy: the next piece takes the memory.
    if (records === 0) first = fields?.map((field) => Buffer.from(field));
    counts.push((fields?.length ?? 1) - 1);
  }
  return { first, counts, seen };
}

function isColumn(name: string): name is Column {
  return COLUMNS.some((column) => column === name);
}

/** A header names the column `key` and at least one more; other names than the known ones are fields of a hash. */
function readHeader(
  first: readonly Buffer[] | undefined,
  { valueType }: FormatSettings,
): { readonly columns: readonly string[] } | { readonly problem: string } {
  const names = (first ?? []).map((field) => field.toString().trim());
  const known = names.map((name) => name.toLowerCase());
  if (names.length < 2 || !known.includes('key')) return { problem: 'it does not name the column key' };
  const twice = known.find((name, index) => isColumn(name) && known.indexOf(name) !== index);
  if (twice !== undefined) return { problem: `it names the column ${twice} twice` };
  const others = known.filter((name) => !isColumn(name));
  if (others.length > 0 && known.includes('value')) {
    return { problem: 'besides value it has columns other than key, ttl, type and op' };
  }
  if (others.length > 0 && valueType !== 'hash' && !known.includes('type')) {
    return { problem: 'it has a column per field, for which valueType must be hash' };
  }
  if (others.length === 0 && !known.includes('value') && !known.includes('op')) {
    return { problem: 'it names neither the column value nor fields of a hash' };
  }
  if (names.includes('')) return { problem: 'one of its names is empty' };
  return {
    columns: known.map((name, index) => (isColumn(name) ? name : `${FIELD_PREFIX}${names[index] ?? ''}`)),
  };
}
