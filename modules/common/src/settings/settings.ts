import type { JsonValue } from '../edge/edge.ts';
import { SuiteError } from '../errors.ts';

/**
 * One setting, declared once: its names, type, default, unit and meaning. The parser, the TypeScript type, the README table
 * and the check of the deployment templates all come from it.
 */
export interface Field<T> {
  /** For tables: `text`, `integer`, `true or false`, `one of a, b` … */
  readonly type: string;
  /** Names in the environment and in the config file; the first is the documented one, the others are accepted. */
  readonly env: readonly string[];
  /** Name in the desired properties, or null when the host alone decides. */
  readonly twin: string | null;
  readonly default: T;
  readonly unit?: string;
  readonly description: string;
  /** Never logged, reported or shown; also readable from the file named by `<ENV>_FILE`. */
  readonly secret: boolean;
  /** Taken over without rebuilding the component. */
  readonly live: boolean;
  /** Both throw a FieldProblem whose text says what is expected, never what was given. */
  fromText(text: string): T;
  fromJson(value: JsonValue): T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

export type SettingsOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** Says what form a setting must have: "expected an integer from 1 to 65535". Never holds the value. */
export class FieldProblem extends SuiteError {
  constructor(expected: string) {
    super('CONFIG_INVALID', expected);
    this.name = 'FieldProblem';
  }
}

/** What every kind of field is declared with. `env` is one name, or the documented one followed by the accepted ones. */
export interface Declaration {
  readonly env: string | readonly string[];
  readonly twin?: string | null;
  readonly unit?: string;
  readonly description: string;
  readonly secret?: boolean;
  readonly live?: boolean;
}

interface Codec<T> {
  readonly type: string;
  readonly fromText: (text: string) => T;
  readonly fromJson: (value: JsonValue) => T;
}

function field<T>(declaration: Declaration, fallback: T, codec: Codec<T>): Field<T> {
  return {
    ...codec,
    env: typeof declaration.env === 'string' ? [declaration.env] : declaration.env,
    twin: declaration.twin ?? null,
    default: fallback,
    ...(declaration.unit === undefined ? {} : { unit: declaration.unit }),
    description: declaration.description,
    secret: declaration.secret ?? false,
    live: declaration.live ?? false,
  };
}

interface TextForm {
  /** The whole text must match; `form` says so in words ("a name of letters, digits and -"). */
  readonly pattern?: RegExp;
  readonly form?: string;
}

/** Free text, never empty: an empty environment value means "not set". */
export function text(declaration: Declaration & TextForm & { readonly default: string }): Field<string>;
export function text(declaration: Declaration & TextForm): Field<string | undefined>;
export function text(
  declaration: Declaration & TextForm & { readonly default?: string },
): Field<string | undefined> {
  const { pattern, form = 'a text that is not empty' } = declaration;
  const check = (value: JsonValue): string => {
    if (typeof value !== 'string' || value === '' || (pattern && !pattern.test(value))) {
      throw new FieldProblem(`expected ${form}`);
    }
    return value;
  };
  return field(declaration, declaration.default, {
    type: declaration.form ?? 'text',
    fromText: check,
    fromJson: check,
  });
}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

function rangeText({ min, max }: Range): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return `, at least ${min}`;
  return max === undefined ? '' : `, at most ${max}`;
}

function numeric(kind: string, accepts: (value: number) => boolean, range: Range): Codec<number> {
  const type = kind + rangeText(range);
  const check = (value: JsonValue): number => {
    const { min = -Infinity, max = Infinity } = range;
    if (typeof value === 'number' && accepts(value) && value >= min && value <= max) return value;
    throw new FieldProblem(`expected ${kind === 'integer' ? 'an' : 'a'} ${type}`);
  };
  // Number('') is 0 and Number('0x10') is 16: neither is what a reader of the manifest would expect.
  const plain = /^[+-]?(\d+(\.\d+)?|\.\d+)(e[+-]?\d+)?$/i;
  return {
    type,
    fromText: (given) => check(plain.test(given.trim()) ? Number(given) : null),
    fromJson: check,
  };
}

export function integer(declaration: Declaration & Range & { readonly default: number }): Field<number>;
export function integer(declaration: Declaration & Range): Field<number | undefined>;
export function integer(
  declaration: Declaration & Range & { readonly default?: number },
): Field<number | undefined> {
  return field<number | undefined>(
    declaration,
    declaration.default,
    numeric('integer', Number.isSafeInteger, declaration),
  );
}

export function number(declaration: Declaration & Range & { readonly default: number }): Field<number>;
export function number(declaration: Declaration & Range): Field<number | undefined>;
export function number(
  declaration: Declaration & Range & { readonly default?: number },
): Field<number | undefined> {
  return field<number | undefined>(
    declaration,
    declaration.default,
    numeric('number', Number.isFinite, declaration),
  );
}

const TRUE = new Set(['true', '1', 'yes', 'on']);
const FALSE = new Set(['false', '0', 'no', 'off']);

/** true or false; the environment may also say 1/0, yes/no, on/off. */
export function flag(declaration: Declaration & { readonly default: boolean }): Field<boolean>;
export function flag(declaration: Declaration): Field<boolean | undefined>;
export function flag(declaration: Declaration & { readonly default?: boolean }): Field<boolean | undefined> {
  const problem = (): FieldProblem => new FieldProblem('expected true or false');
  return field<boolean | undefined>(declaration, declaration.default, {
    type: 'true or false',
    fromText(given) {
      const word = given.trim().toLowerCase();
      if (TRUE.has(word)) return true;
      if (FALSE.has(word)) return false;
      throw problem();
    },
    fromJson(value) {
      if (typeof value !== 'boolean') throw problem();
      return value;
    },
  });
}

interface Choices<C extends string> {
  readonly choices: readonly C[];
  /** Further spellings and the choice each stands for, in lower case. */
  readonly aliases?: Readonly<Record<string, C>>;
}

/** One of a few words, compared without regard to case. */
export function choice<const C extends string>(
  declaration: Declaration & Choices<C> & { readonly default: NoInfer<C> },
): Field<C>;
export function choice<const C extends string>(declaration: Declaration & Choices<C>): Field<C | undefined>;
export function choice<const C extends string>(
  declaration: Declaration & Choices<C> & { readonly default?: NoInfer<C> },
): Field<C | undefined> {
  const words = new Map<string, C>(Object.entries<C>(declaration.aliases ?? {}));
  for (const word of declaration.choices) words.set(word.toLowerCase(), word);
  const type = `one of ${declaration.choices.join(', ')}`;
  const check = (value: JsonValue): C => {
    const found = typeof value === 'string' ? words.get(value.trim().toLowerCase()) : undefined;
    if (found === undefined) throw new FieldProblem(`expected ${type}`);
    return found;
  };
  return field<C | undefined>(declaration, declaration.default, { type, fromText: check, fromJson: check });
}

/** Texts: separated by commas in the environment, an array (or the same text) in the twin. */
export function list(
  declaration: Declaration & { readonly default: readonly string[] },
): Field<readonly string[]>;
export function list(declaration: Declaration): Field<readonly string[] | undefined>;
export function list(
  declaration: Declaration & { readonly default?: readonly string[] },
): Field<readonly string[] | undefined> {
  const fromText = (given: string): readonly string[] =>
    given
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  return field<readonly string[] | undefined>(declaration, declaration.default, {
    type: 'texts, separated by commas',
    fromText,
    fromJson(value) {
      if (typeof value === 'string') return fromText(value);
      const items = Array.isArray(value) ? value : [null];
      const texts = items.filter((item) => typeof item === 'string');
      if (texts.length !== items.length) throw new FieldProblem('expected an array of texts');
      return texts;
    },
  });
}

interface CustomCodec<T> {
  /** For the table and for mistakes: "expected <type>". */
  readonly type: string;
  /** Throws a FieldProblem for a clearer text than the type alone. */
  readonly fromText: (text: string) => T;
  /** Without it the twin takes the same text as the environment. */
  readonly fromJson?: (value: JsonValue) => T;
}

export function custom<T>(declaration: Declaration & CustomCodec<T> & { readonly default: T }): Field<T>;
export function custom<T>(declaration: Declaration & CustomCodec<T>): Field<T | undefined>;
export function custom<T>(
  declaration: Declaration & CustomCodec<T> & { readonly default?: T },
): Field<T | undefined> {
  const { type, fromText } = declaration;
  const fromJson =
    declaration.fromJson ??
    ((value: JsonValue): T => {
      if (typeof value !== 'string' || value === '') throw new FieldProblem(`expected ${type}`);
      return fromText(value);
    });
  return field<T | undefined>(declaration, declaration.default, { type, fromText, fromJson });
}
