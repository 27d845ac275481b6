import type { Format } from '../csv/format.ts';
import { FIELD_PREFIX } from '../csv/format.ts';
import type { Row, ValueType } from './row.ts';

const EMPTY = Buffer.alloc(0);
/** A hundred years: beyond it the number is a mistake, such as a date or milliseconds. */
const MAX_TTL_SECONDS = 3_153_600_000;

export interface RowDefaults {
  readonly valueType: ValueType;
  readonly ttlSeconds: number;
}

export type MappedRow = Row | { readonly reason: string };

/** Turns the fields of one record into what becomes of its key, or says why that cannot be. */
export type RowMapper = (fields: readonly Buffer[], line: number) => MappedRow;

export function createRowMapper(format: Format, defaults: RowDefaults): RowMapper {
  const { columns, hasHeader } = format;
  const at = (name: string): number => columns.indexOf(name);
  const [keyAt, valueAt, ttlAt, typeAt, opAt] = ['key', 'value', 'ttl', 'type', 'op'].map(at) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const names = columns.map((column) =>
    column.startsWith(FIELD_PREFIX) ? Buffer.from(column.slice(FIELD_PREFIX.length)) : undefined,
  );
  const hasFields = names.some((name) => name !== undefined);
  const minimum = hasHeader ? columns.length : 2;

  return (fields, line) => {
    if (fields.length > columns.length) return wrongCount(fields.length, columns.length);
    if (fields.length < minimum) return wrongCount(fields.length, minimum);
    const cell = (index: number): Buffer => fields[index] ?? EMPTY;
    const key = cell(keyAt);
    if (key.length === 0) return { reason: 'empty key' };
    const op = word(cell(opAt));
    if (op === 'del') return rowOf(line, 'del', key, EMPTY, 0, undefined);
    if (op !== '' && op !== 'set') return { reason: 'op is neither set nor del' };
    const ttlSeconds = readTtl(cell(ttlAt), defaults.ttlSeconds);
    if (ttlSeconds === undefined) {
      return { reason: 'ttl is not a whole number of seconds from 0 to a hundred years' };
    }
    const given = word(cell(typeAt));
    const type = given === '' ? defaults.valueType : given;
    const value = cell(valueAt);
    switch (type) {
      case 'string':
        return valueAt < 0
          ? { reason: 'a string needs the column value' }
          : setRow(line, key, value, ttlSeconds);
      case 'json':
        return parseJson(value) === undefined
          ? { reason: 'value is not JSON' }
          : setRow(line, key, value, ttlSeconds);
      case 'hash': {
        const pairs = hasFields ? fieldPairs(fields, names) : objectPairs(value);
        if (typeof pairs === 'string') return { reason: pairs };
        return rowOf(line, 'hash', key, EMPTY, ttlSeconds, pairs);
      }
      default:
        return { reason: 'type is none of string, hash and json' };
    }
  };
}

function wrongCount(found: number, expected: number): MappedRow {
  return { reason: `${found} field${found === 1 ? '' : 's'} where ${expected} are expected` };
}

/** A row that sets a string; it keeps copies. */
function setRow(line: number, key: Buffer, value: Buffer, ttlSeconds: number): Row {
  return rowOf(line, 'set', key, value, ttlSeconds, undefined);
}

function rowOf(
  line: number,
  op: Row['op'],
  key: Buffer,
  value: Buffer,
  ttlSeconds: number,
  fields: readonly Buffer[] | undefined,
): Row {
  // A copy: the fields lie in memory that the next block of the file will take.
  const data = Buffer.concat([key, value]);
  return {
    op,
    line,
    data,
    keyStart: 0,
    keyEnd: key.length,
    valueStart: key.length,
    valueEnd: data.length,
    ttlSeconds,
    fields,
  };
}

function word(cell: Buffer): string {
  return cell.length === 0 ? '' : cell.toString('latin1').trim().toLowerCase();
}

function readTtl(cell: Buffer, fallback: number): number | undefined {
  if (cell.length === 0) return fallback;
  const text = cell.toString('latin1').trim();
  if (text === '') return fallback;
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return seconds <= MAX_TTL_SECONDS ? seconds : undefined;
}

function parseJson(cell: Buffer): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(cell.toString()) };
  } catch {
    return undefined;
  }
}

/** An empty cell of a column-per-field file is a field with an empty value, as an empty value column is an empty string. */
function fieldPairs(fields: readonly Buffer[], names: readonly (Buffer | undefined)[]): Buffer[] {
  return names.flatMap((name, index) =>
    name === undefined ? [] : [name, Buffer.from(fields[index] ?? EMPTY)],
  );
}

function objectPairs(cell: Buffer): Buffer[] | string {
  const parsed = parseJson(cell);
  if (parsed === undefined) return 'value is not JSON';
  const { value } = parsed;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'value of a hash is not a JSON object';
  }
  const pairs: Buffer[] = [];
  for (const [name, inner] of Object.entries(value) as [string, unknown][]) {
    // A hash has no null: such a field is not there.
    if (inner === null) continue;
    pairs.push(Buffer.from(name), Buffer.from(typeof inner === 'string' ? inner : JSON.stringify(inner)));
  }
  return pairs.length === 0 ? 'a hash without fields' : pairs;
}
