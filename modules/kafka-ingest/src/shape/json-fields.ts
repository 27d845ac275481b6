/** A JSON object as it was parsed. */
export type JsonFields = Readonly<Record<string, unknown>>;

/** A double tells so many digits apart. */
const SAFE_DIGITS = 15;
/** In the text of what is nested. */
const LONG_NUMBER = /[\d.eE+-]{17}|\d{16}/;

/** Notes that a number may have had more digits than JavaScript keeps. */
export interface NumberWatch {
  isRounded: boolean;
  /** What was parsed. A number that stands there as JavaScript writes it has lost nothing. */
  readonly text: string;
}

/** The fields of a JSON object, or undefined when the text is none. */
export function parseFields(text: string): JsonFields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The same, with every digit of long numbers: they come as `RawNumber`. Several times slower. */
export function parseFieldsExactly(text: string): JsonFields | undefined {
  const value: unknown = JSON.parse(text, keepDigits);
  return isFields(value) ? value : undefined;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isFields(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function keepDigits(
  this: unknown,
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || source.length <= SAFE_DIGITS) return value;
  return String(value) === source ? value : rawNumber(source);
}

/** Text of a number that JSON.stringify writes as it is. */
interface RawNumber {
  readonly rawJSON: string;
}

// The type of JSON.rawJSON is not in the compiler's library yet.
const exact = JSON as typeof JSON & { rawJSON: (text: string) => RawNumber };

function rawNumber(source: string): RawNumber {
  return exact.rawJSON(source);
}

function isRawNumber(value: object): value is RawNumber {
  return 'rawJSON' in value && Object.getPrototypeOf(value) === null && Object.isFrozen(value);
}

/** Text of a string, number or boolean; undefined for null, objects and arrays. */
export function scalarText(value: unknown, watch?: NumberWatch): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') {
    const text = String(value);
    if (watch !== undefined && text.length > SAFE_DIGITS && !Number.isSafeInteger(value))
      watch.isRounded ||= !standsIn(watch.text, text);
    return text;
  }
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  return typeof value === 'object' && value !== null && isRawNumber(value) ? value.rawJSON : undefined;
}

/** Text of any value but null: what is nested as JSON. */
export function valueText(value: unknown, watch: NumberWatch): string {
  const text = scalarText(value, watch);
  if (text !== undefined) return text;
  const json = JSON.stringify(value);
  if (LONG_NUMBER.test(json)) watch.isRounded ||= !watch.text.includes(json);
  return json;
}

const PART_OF_NUMBER = /[\d.eE+-]/;

/** Whether a number stands in a text, and not as a part of a longer one. */
function standsIn(text: string, number: string): boolean {
  const at = text.indexOf(number);
  return (
    at >= 0 &&
    !PART_OF_NUMBER.test(text.charAt(at - 1)) &&
    !PART_OF_NUMBER.test(text.charAt(at + number.length))
  );
}

/** A field by its own name, else by a path of names. */
export function valueAt(fields: JsonFields, name: string, path: readonly string[]): unknown {
  if (path.length === 1 || Object.hasOwn(fields, name))
    return Object.hasOwn(fields, name) ? fields[name] : undefined;
  let value: unknown = fields;
  for (const step of path) {
    if (!isFields(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

/** Calls back with the name of each leaf: `a.b` for what is nested. Arrays are leaves. */
export function flatten(fields: JsonFields, leaf: (name: string, value: unknown) => void, prefix = ''): void {
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (isFields(value) && !isRawNumber(value) && Object.keys(value).length > 0)
      flatten(value, leaf, `${prefix}${name}.`);
    else leaf(prefix + name, value);
  }
}
