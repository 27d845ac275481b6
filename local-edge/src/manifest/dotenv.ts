// The rules of python-dotenv, which iotedgedev uses: `export` is allowed, single quotes know \\ and \' only, double quotes know
// the usual escapes and may span lines, an unquoted value ends at ` #`. `${NAME}` and `${NAME:-default}` are filled in from the
// surrounding environment and from the lines before; `$NAME` is not.
import { ownValue } from './record.ts';

export interface Dotenv {
  readonly values: Record<string, string>;
  /** Lines, from 1, of statements that nothing can be made of: they are left out, as there. */
  readonly unread: readonly number[];
}

/** Blanks as Python has them, but for the ends of lines: all of them are `\n` when the patterns meet the text. */
const blank = String.raw`[\t\v\f\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const space = String.raw`(?:\n|${blank})`;
const patterns = {
  start: new RegExp(`${space}*`, 'y'),
  export: new RegExp(`(?:export${blank}+)?`, 'y'),
  name: new RegExp(String.raw`(?:'([^']+)'|((?!')(?:(?!${space})[^=#])+))${blank}*`, 'y'),
  equals: new RegExp(`=${blank}*`, 'y'),
  single: /'((?:\\'|[^'])*)'/y,
  double: /"((?:\\"|[^"])*)"/y,
  bare: /[^\n]*/y,
  end: new RegExp(String.raw`(?:${blank}*#[^\n]*)?${blank}*(?:\n|$)`, 'y'),
};
const comment = new RegExp(String.raw`${blank}+#.*$`, 's');
const blankEnd = new RegExp(`${blank}+$`);

/** Reads the text of a `.env` file. Lines without `=` set nothing, as there. */
export function readDotenv(
  text: string,
  surrounding: Readonly<Record<string, string | undefined>> = {},
): Dotenv {
  const reader = new Reader(text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n'));
  const values = new Map<string, string | undefined>();
  const unread: number[] = [];
  const known = (name: string): string | undefined =>
    // The environment wins over the file, as it does with the tools.
    ownValue(surrounding, name) ?? (values.has(name) ? (values.get(name) ?? '') : undefined);
  for (;;) {
    reader.take(patterns.start);
    if (reader.isAtEnd) break;
    const { line } = reader;
    const statement = readStatement(reader);
    if (statement === undefined) {
      unread.push(line);
      reader.take(patterns.bare);
    } else if (statement.name !== undefined) {
      const { name, value } = statement;
      values.set(name, value === undefined ? undefined : fillIn(value, known));
    }
  }
  const set = [...values].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return { values: Object.fromEntries(set), unread };
}

/** The variables alone. */
export function parseDotenv(
  text: string,
  surrounding: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  return readDotenv(text, surrounding).values;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  get next(): string {
    return this.#text[this.#at] ?? '';
  }

  get line(): number {
    return this.#text.slice(0, this.#at).split('\n').length;
  }

  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at += found[0].length;
    return found;
  }
}

interface Statement {
  /** Absent for a comment. */
  readonly name?: string;
  readonly value?: string;
}

/** One statement with the end of its line; undefined when it is none, with the reader where it ceases to be one. */
function readStatement(reader: Reader): Statement | undefined {
  reader.take(patterns.export);
  if (reader.next === '#') return reader.take(patterns.end) === null ? undefined : {};
  const name = reader.take(patterns.name);
  if (name === null) return undefined;
  const isSet = reader.take(patterns.equals) !== null;
  const value = isSet ? readValue(reader) : undefined;
  if ((isSet && value === undefined) || reader.take(patterns.end) === null) return undefined;
  return { name: name[1] ?? name[2] ?? '', ...(value === undefined ? {} : { value }) };
}

function readValue(reader: Reader): string | undefined {
  if (reader.next === "'") return reader.take(patterns.single)?.[1]?.replace(/\\([\\'])/g, '$1');
  if (reader.next === '"')
    return reader
      .take(patterns.double)?.[1]
      ?.replace(/\\([\\'"abfnrtv])/g, (_all, one: string) => escapes.get(one) ?? one);
  return reader.take(patterns.bare)?.[0].replace(comment, '').replace(blankEnd, '');
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

function fillIn(value: string, known: (name: string) => string | undefined): string {
  return value.replace(
    /\$\{([^}:]*)(?::-([^}]*))?\}/g,
    (_all, name: string, fallback: string | undefined) => known(name) ?? fallback ?? '',
  );
}
