import type { StaticType, Value } from './values.ts';

interface Builtin {
  /** The accepted argument lists; `any` takes every type. A body value fits wherever `any`, string, number or bool is wanted. */
  readonly takes: readonly (readonly (StaticType | 'any')[])[];
  /** More arguments of the last type are welcome. */
  readonly variadic?: boolean;
  readonly gives: StaticType;
  readonly run: (...args: Value[]) => Value;
}

const onNumber = (compute: (x: number) => number): Builtin => ({
  takes: [['number']],
  gives: 'number',
  run: (x) => (typeof x === 'number' ? compute(x) : undefined),
});

const onString = (gives: StaticType, compute: (text: string) => Value): Builtin => ({
  takes: [['string']],
  gives,
  run: (text) => (typeof text === 'string' ? compute(text) : undefined),
});

const onStrings = (gives: StaticType, compute: (text: string, part: string) => Value): Builtin => ({
  takes: [['string', 'string']],
  gives,
  run: (text, part) =>
    typeof text === 'string' && typeof part === 'string' ? compute(text, part) : undefined,
});

/** The functions of edgeHub's route conditions, without `twin_change_includes`. Names have no case. */
export const builtins: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ['abs', onNumber(Math.abs)],
  ['exp', onNumber(Math.exp)],
  ['square', onNumber((x) => x * x)],
  ['ceiling', onNumber(Math.ceil)],
  ['floor', onNumber(Math.floor)],
  ['sign', onNumber(Math.sign)],
  ['sqrt', onNumber(Math.sqrt)],
  [
    'power',
    {
      takes: [['number', 'number']],
      gives: 'number',
      run: (x, y) => (typeof x === 'number' && typeof y === 'number' ? x ** y : undefined),
    },
  ],
  ['as_number', { takes: [['string'], ['number']], gives: 'number', run: asNumber }],
  ['is_bool', { takes: [['any']], gives: 'bool', run: (value) => typeof value === 'boolean' }],
  ['is_defined', { takes: [['any']], gives: 'bool', run: (value) => value !== undefined }],
  ['is_null', { takes: [['any']], gives: 'bool', run: (value) => value === null }],
  ['is_number', { takes: [['any']], gives: 'bool', run: (value) => Number.isFinite(value) }],
  ['is_string', { takes: [['any']], gives: 'bool', run: (value) => typeof value === 'string' }],
  [
    'concat',
    {
      takes: [['string', 'string']],
      variadic: true,
      gives: 'string',
      run: (...parts) => (parts.every((part) => typeof part === 'string') ? parts.join('') : undefined),
    },
  ],
  ['length', onString('number', (text) => text.length)],
  ['lower', onString('string', (text) => text.toLowerCase())],
  ['upper', onString('string', (text) => text.toUpperCase())],
  [
    'substring',
    {
      takes: [
        ['string', 'number'],
        ['string', 'number', 'number'],
      ],
      gives: 'string',
      run: substring,
    },
  ],
  ['index_of', onStrings('number', (text, part) => text.indexOf(part))],
  ['starts_with', onStrings('bool', (text, part) => text.startsWith(part))],
  ['ends_with', onStrings('bool', (text, part) => text.endsWith(part))],
  ['contains', onStrings('bool', (text, part) => text.includes(part))],
]);

function asNumber(value: Value): Value {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const text = value.trim().replace(/,/g, '');
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return undefined;
  return Number(text);
}

function substring(text: Value, start: Value, length: Value): Value {
  if (typeof text !== 'string' || typeof start !== 'number') return undefined;
  if (length === undefined) return start >= 0 && start <= text.length ? text.slice(start) : undefined;
  if (typeof length !== 'number' || start < 0 || start >= text.length) return undefined;
  return length >= 0 && length <= text.length - start ? text.slice(start, start + length) : undefined;
}
