import { fromBinary, toBinary } from './binary-text.ts';
import type { FlatFields } from './flat-fields.ts';
import type { JsonFields, NumberWatch } from './json-fields.ts';
import { scalarText, valueAt } from './json-fields.ts';
import type { KafkaRecord } from '../record.ts';
import { headerText } from '../record.ts';

/** What a template's placeholders can be filled from. */
export interface TemplateScope {
  readonly record: KafkaRecord;
  readonly topic: string;
  readonly partition: number;
  /** Undefined for a tombstone, and where the value is not read as JSON. */
  readonly fields: JsonFields | undefined;
  /** In place of these where they were not parsed. */
  readonly flat?: FlatFields;
  /** The Redis key as a binary string; only once it is known. */
  readonly redisKey?: string;
  readonly db: number;
  readonly watch: NumberWatch;
}

type Source = (scope: TemplateScope) => string | undefined;

interface Placeholder {
  readonly name: string;
  readonly read: Source;
  /** What to take when the source has nothing. */
  readonly fallback: string | undefined;
}

export type Filled = { readonly text: string } | { readonly missing: string };

const OWN: Readonly<Record<string, Source>> = {
  '@key': ({ record }) => record.key?.toString('latin1'),
  '@topic': ({ topic }) => topic,
  '@partition': ({ partition }) => String(partition),
  '@offset': ({ record }) => record.offset,
  '@timestamp': ({ record }) => record.timestamp,
  '@redisKey': ({ redisKey }) => redisKey,
  '@db': ({ db }) => String(db),
};
const HEADER = '@header:';

/** Names that start with @ and are known, for texts. */
const KNOWN = [...Object.keys(OWN), `${HEADER}NAME`].map((name) => `{${name}}`).join(', ');

/**
 * Text with placeholders: `{field}` or `{a.b}` a field of the JSON value, `{@key}` the Kafka key, `{@header:NAME}`, `{@topic}`,
 * `{@partition}`, `{@offset}`, `{@timestamp}`; `{name|text}` takes the text when there is nothing. `{{` and `}}` are braces.
 */
export class Template {
  /** The value has to be read as JSON. */
  readonly needsFields: boolean;
  readonly #literals: readonly string[];
  readonly #placeholders: readonly Placeholder[];

  constructor(text: string) {
    const { literals, names } = split(text);
    this.#literals = literals.map(toBinary);
    this.#placeholders = names.map(placeholder);
    this.needsFields = names.some((name) => !name.startsWith('@'));
  }

  /** A binary string, or the name of the placeholder that nothing was found for. */
  fill(scope: TemplateScope): Filled {
    let text = this.#literals[0] ?? '';
    for (let at = 0; at < this.#placeholders.length; at += 1) {
      const each = this.#placeholders[at];
      if (each === undefined) break;
      const value = each.read(scope) ?? each.fallback;
      if (value === undefined || value === '') return { missing: each.name };
      text += value + (this.#literals[at + 1] ?? '');
    }
    return { text };
  }
}

function placeholder(given: string): Placeholder {
  const bar = given.indexOf('|');
  const name = bar < 0 ? given : given.slice(0, bar);
  const fallback = bar < 0 ? undefined : toBinary(given.slice(bar + 1));
  return { name, fallback, read: sourceOf(name) };
}

function sourceOf(name: string): Source {
  const own = Object.hasOwn(OWN, name) ? OWN[name] : undefined;
  if (own !== undefined) return own;
  if (name.startsWith(HEADER)) {
    const header = name.slice(HEADER.length);
    return ({ record }) => {
      const text = headerText(record.headers, header);
      return text === undefined ? undefined : toBinary(text);
    };
  }
  const path = name.split('.');
  return ({ fields, flat, watch }) => {
    if (flat !== undefined) return flat.text(name);
    const text = fields === undefined ? undefined : scalarText(valueAt(fields, name, path), watch);
    return text === undefined ? undefined : toBinary(text);
  };
}

/** What is wrong with a template, or undefined. */
export function templateProblem(text: string, isChannel = false): string | undefined {
  const result = split(text);
  if (result.problem !== undefined) return result.problem;
  for (const given of result.names) {
    const [name = ''] = given.split('|');
    if (name === '' || name === HEADER) return 'has a placeholder without a name';
    const isOwn = Object.hasOwn(OWN, name) || name.startsWith(HEADER);
    if (name.startsWith('@') && !isOwn) return `knows ${KNOWN} besides the names of JSON fields`;
    if (name === '@redisKey' && !isChannel) return '{@redisKey} is for the channel only';
  }
  return undefined;
}

function split(text: string): { literals: string[]; names: string[]; problem?: string } {
  const literals: string[] = [''];
  const names: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if ((character === '{' || character === '}') && text.charAt(at + 1) === character) {
      literals.push((literals.pop() ?? '') + character);
      at += 1;
    } else if (character === '{') {
      const end = text.indexOf('}', at);
      if (end < 0) return { literals, names, problem: 'has a brace without its partner' };
      names.push(text.slice(at + 1, end));
      literals.push('');
      at = end;
    } else if (character === '}') {
      return { literals, names, problem: 'has a brace without its partner' };
    } else {
      literals.push((literals.pop() ?? '') + character);
    }
  }
  return { literals, names };
}

/** For texts that people read. */
export function readable(filled: string): string {
  return fromBinary(filled);
}
