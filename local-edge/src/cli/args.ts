import { EdgeError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';

/** A flag of a verb. The first name is its key in `Args`. */
export interface Flag {
  /** Long name first: `['--module-id', '-m']`. */
  readonly names: readonly [string, ...string[]];
  /** What the help calls its value; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  readonly required?: boolean;
  /** Takes several words (`--properties sys app`), or is given several times. */
  readonly many?: boolean;
}

export interface Args {
  /** The words that are no flags. */
  readonly words: readonly string[];
  /** The value of a flag, by its long name. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  has(name: string): boolean;
  /** A whole number, checked. */
  number(name: string): number | undefined;
}

function usage(message: string): EdgeError {
  return new EdgeError('USAGE', message);
}

class Parser {
  readonly words: string[] = [];
  readonly values = new Map<string, string[]>();
  readonly #verb: string;
  readonly #flags: readonly Flag[];
  readonly #argv: readonly string[];
  #at = 0;

  constructor(verb: string, argv: readonly string[], flags: readonly Flag[]) {
    this.#verb = verb;
    this.#argv = argv;
    this.#flags = flags;
  }

  /** So many words at most are followed by flags; everything behind them is a word. */
  parse(wordsBeforeCommand: number): void {
    while (this.#at < this.#argv.length) {
      const word = this.#argv[this.#at] ?? '';
      this.#at += 1;
      const isCommand = this.words.length >= wordsBeforeCommand;
      if (isCommand) this.#at -= 1;
      if (word === '--' || isCommand) {
        this.words.push(...this.#argv.slice(this.#at));
        return;
      }
      if (/^--?[A-Za-z]/.test(word)) this.#flag(word);
      else this.words.push(word);
    }
  }

  #flag(word: string): void {
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = equals < 0 ? word : word.slice(0, equals);
    const flag = this.#find(name);
    if (flag === undefined) {
      const known = this.#flags.flatMap(({ names }) => names);
      throw usage(
        `edge ${this.#verb} has no flag ${name}${didYouMean(name, known) || `; edge ${this.#verb} --help lists them`}`,
      );
    }
    const values = this.values.get(flag.names[0]) ?? [];
    this.values.set(flag.names[0], values);
    if (flag.value === undefined) {
      if (equals >= 0) throw usage(`${name} takes no value`);
    } else if (equals >= 0) values.push(word.slice(equals + 1));
    else this.#takeValues(flag, name, values);
    if (values.length > 1 && flag.many !== true) throw usage(`${name} is given twice`);
  }

  #takeValues(flag: Flag, name: string, values: string[]): void {
    const next = this.#argv[this.#at];
    if (next === undefined || this.#find(next) !== undefined)
      throw usage(`${name} needs a value: ${name} ${flag.value ?? ''}`);
    values.push(next);
    this.#at += 1;
    while (flag.many === true) {
      const more = this.#argv[this.#at];
      if (more === undefined || more.startsWith('-')) return;
      values.push(more);
      this.#at += 1;
    }
  }

  #find(name: string): Flag | undefined {
    return this.#flags.find(({ names }) => names.includes(name));
  }
}

/** Reads the arguments of a verb; a value may start with a dash unless it is a flag of the verb. */
export function parseArgs(
  verb: string,
  argv: readonly string[],
  flags: readonly Flag[],
  wordsBeforeCommand = Infinity,
): Args {
  const parser = new Parser(verb, argv, flags);
  parser.parse(wordsBeforeCommand);
  const { values, words } = parser;
  return {
    words,
    text: (name) => values.get(name)?.at(-1),
    texts: (name) => values.get(name) ?? [],
    has: (name) => values.has(name),
    number: (name) => {
      const text = values.get(name)?.at(-1);
      if (text === undefined) return undefined;
      if (!/^\d{1,9}$/.test(text)) throw usage(`${name} must be a whole number from 0`);
      return Number(text);
    },
  };
}

/** Refuses a call that lacks a required flag, with its names. */
export function checkRequired(verb: string, args: Args, flags: readonly Flag[]): void {
  for (const flag of flags) {
    if (flag.required !== true || args.has(flag.names[0])) continue;
    throw usage(`edge ${verb} needs ${flag.names.join(' or ')} ${flag.value ?? ''}`.trimEnd());
  }
}
