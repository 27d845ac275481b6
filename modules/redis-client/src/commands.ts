import { SuiteError } from '@iotedge-redis/common';
import type { JsonObject, JsonValue } from '@iotedge-redis/common';
import {
  MAX_ITEMS,
  checkNames,
  isObject,
  malformed,
  parseDb,
  parseEtag,
  parseFlag,
  parseKey,
  parseTtl,
  parseValue,
  unwrap,
} from './grammar.ts';

/** What must hold for a write to happen. */
export type Condition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'equals'; readonly value: string }
  | { readonly kind: 'match'; readonly etag: string };

export interface SetCommand {
  readonly key: string;
  readonly value: string;
  readonly ttlSeconds?: number;
  readonly condition?: Condition;
  readonly db?: number;
}

export interface KeyCommand {
  readonly key: string;
  readonly db?: number;
}

export interface DeleteCommand extends KeyCommand {
  readonly condition?: Condition;
}

/** String forms are answered with exactly `{Message, Status}`, object forms with more beside them. */
export interface Request<C> {
  readonly form: 'string' | 'object';
  readonly command: C;
}

const SET_NAMES = ['key', 'value', 'ttlSeconds', 'ifAbsent', 'ifEquals', 'ifMatch', 'db'];
const GET_NAMES = ['key', 'db'];
const DELETE_NAMES = ['key', 'ifEquals', 'ifMatch', 'db'];

/** `"key:value"`, split at the first colon, or `{key, value, ttlSeconds?, ifAbsent?, ifEquals?, ifMatch?, db?}`. */
export function parseSetItem(payload: JsonValue): Request<SetCommand> {
  const given = unwrap(payload, SET_NAMES);
  if (typeof given === 'string') return { form: 'string', command: parsePair(given) };
  if (isObject(given)) return { form: 'object', command: parseSetObject(given, 'SetItem') };
  throw malformed('SetItem takes "key:value" or an object with key and value');
}

/** `"key"` or `{key, db?}`. */
export function parseGetItem(payload: JsonValue): Request<KeyCommand> {
  const given = unwrap(payload, GET_NAMES);
  if (typeof given === 'string') return { form: 'string', command: { key: parseKey(given) } };
  if (!isObject(given)) throw malformed('GetItem takes "key" or an object with key');
  checkNames(given, GET_NAMES, 'GetItem');
  return { form: 'object', command: { key: parseKey(given['key']), ...dbOf(given) } };
}

/** `"key"` or `{key, ifEquals?, ifMatch?, db?}`. */
export function parseDeleteItem(payload: JsonValue): Request<DeleteCommand> {
  const given = unwrap(payload, DELETE_NAMES);
  if (typeof given === 'string') return { form: 'string', command: { key: parseKey(given) } };
  if (!isObject(given)) throw malformed('DeleteItem takes "key" or an object with key');
  checkNames(given, DELETE_NAMES, 'DeleteItem');
  return { form: 'object', command: { key: parseKey(given['key']), ...conditionOf(given), ...dbOf(given) } };
}

/** An array of what SetItem takes, or `{items, db?}` where `db` is for the items that name none. */
export function parseSetItems(payload: JsonValue): readonly SetCommand[] {
  const { items, db } = parseMany(payload, 'items', 'SetItems');
  return items.map((item, index) =>
    named(`item ${index + 1}`, () => {
      if (typeof item === 'string') return { ...parsePair(item), ...db };
      if (!isObject(item)) throw malformed('takes "key:value" or an object with key and value');
      return { ...db, ...parseSetObject(item, 'an item of SetItems') };
    }),
  );
}

/** An array of keys, or `{keys, db?}`. */
export function parseGetItems(payload: JsonValue): readonly KeyCommand[] {
  const { items, db } = parseMany(payload, 'keys', 'GetItems');
  return items.map((item, index) => named(`key ${index + 1}`, () => ({ key: parseKey(item), ...db })));
}

function parsePair(text: string): SetCommand {
  const colon = text.indexOf(':');
  if (colon < 0) throw malformed('no ":" between key and value; expected "key:value"');
  return { key: parseKey(text.slice(0, colon)), value: parseValue(text.slice(colon + 1)) };
}

function parseSetObject(given: JsonObject, place: string): SetCommand {
  checkNames(given, SET_NAMES, place);
  const ttlSeconds = parseTtl(given['ttlSeconds']);
  return {
    key: parseKey(given['key']),
    value: parseValue(given['value']),
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...conditionOf(given),
    ...dbOf(given),
  };
}

function conditionOf(given: JsonObject): { condition?: Condition } {
  const conditions: Condition[] = [];
  if (parseFlag(given['ifAbsent'], 'ifAbsent')) conditions.push({ kind: 'absent' });
  if (given['ifEquals'] !== undefined) {
    conditions.push({ kind: 'equals', value: parseValue(given['ifEquals'], 'ifEquals') });
  }
  if (given['ifMatch'] !== undefined) conditions.push({ kind: 'match', etag: parseEtag(given['ifMatch']) });
  const [condition, second] = conditions;
  if (second !== undefined) throw malformed('only one of "ifAbsent", "ifEquals" and "ifMatch" can be given');
  return condition === undefined ? {} : { condition };
}

function dbOf(given: JsonObject): { db?: number } {
  const db = parseDb(given['db']);
  return db === undefined ? {} : { db };
}

function parseMany(
  payload: JsonValue,
  name: string,
  method: string,
): { items: JsonValue[]; db: { db?: number } } {
  const given = typeof payload === 'string' ? unwrapArray(payload, name) : payload;
  const list = isObject(given) ? given[name] : given;
  if (isObject(given)) checkNames(given, [name, 'db'], method);
  if (!Array.isArray(list)) throw malformed(`${method} takes an array, or an object with "${name}"`);
  if (list.length === 0) throw malformed(`${method} was given an empty array`);
  if (list.length > MAX_ITEMS)
    throw malformed(`${method} takes at most ${MAX_ITEMS} at once, ${list.length} were given`);
  return { items: list, db: isObject(given) ? dbOf(given) : {} };
}

function unwrapArray(payload: string, name: string): JsonValue {
  if (!payload.trimStart().startsWith('[')) return unwrap(payload, [name]);
  try {
    return JSON.parse(payload) as JsonValue;
  } catch {
    return payload;
  }
}

function named<T>(place: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw renamed(place, error);
  }
}

function renamed(place: string, error: unknown): unknown {
  if (!(error instanceof SuiteError)) return error;
  return new SuiteError(error.code, `${place}: ${error.message}`, { cause: error });
}
