import { nameOf, percent } from './text-of.ts';

/** The longest topic that MQTT can carry, in bytes of UTF-8. */
export const MAX_TOPIC_BYTES = 65_535;

export const PLACEHOLDERS = ['base', 'stream', 'rawStream', 'db', 'instance'] as const;

export interface TopicParts {
  readonly base: string;
  /** Name of the stream. */
  readonly stream: Buffer;
  readonly db: number;
  readonly instance: string;
  /** Put `{db}` before the stream unless the template has it: the same name exists in two databases. */
  readonly withDb: boolean;
}

/** Looks a field of the entry up for `{field:name}`. */
export type FieldLookup = (name: string) => Buffer | undefined;

export type TopicResult = { readonly topic: string } | { readonly problem: string };

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** What is wrong with a template, or undefined. */
export function templateProblem(template: string): string | undefined {
  for (const [, name = ''] of template.matchAll(PLACEHOLDER)) {
    const isKnown = PLACEHOLDERS.some((known) => known === name) || /^field:.+/.test(name);
    if (!isKnown) return `knows {${PLACEHOLDERS.join('}, {')}} and {field:NAME} only`;
  }
  const literal = template.replaceAll(PLACEHOLDER, '');
  if (/[{}]/.test(literal)) return 'has a brace without its partner';
  return filterProblem(literal);
}

/** Topics that are written down by hand must be topics already. */
export function filterProblem(literal: string): string | undefined {
  if (/[+#\0]/.test(literal)) return 'must not contain +, # or NUL, which topics to publish to cannot have';
  return unsafe(literal)
    ? 'must not contain control characters or characters that are not assigned'
    : undefined;
}

/** True when the topic differs from entry to entry. */
export function dependsOnFields(template: string): boolean {
  return template.includes('{field:');
}

/**
 * `{base}/{stream}` with every `:` of the stream's name turned into `/`. What a topic must not contain is percent-escaped, and
 * so is a `%` that could be taken for such an escape: two names never meet in one topic through escaping.
 */
export function topicFor(template: string, parts: TopicParts, field?: FieldLookup): TopicResult {
  const addDb = parts.withDb && !template.includes('{db}');
  let missing: string | undefined;
  const filled = template.replaceAll(PLACEHOLDER, (_, name: string) => {
    switch (name) {
      case 'base':
        return parts.base;
      case 'stream':
        return (addDb ? `${parts.db}/` : '') + nameOf(parts.stream, escapeLevels).replaceAll(':', '/');
      case 'rawStream':
        return (addDb ? `${parts.db}/` : '') + nameOf(parts.stream, escapeLevels);
      case 'db':
        return String(parts.db);
      case 'instance':
        return escapeLevels(parts.instance);
      default: {
        const value = field?.(name.slice('field:'.length));
        if (value === undefined) missing = name.slice('field:'.length);
        // A value is one level: a slash inside of it would move what follows.
        return value === undefined ? '' : nameOf(value, escapeLevels).replaceAll('/', percent(0x2f));
      }
    }
  });
  if (missing !== undefined)
    return { problem: `the topic needs the field ${missing}, which the entry lacks` };
  // Topics that start with $ belong to the broker.
  const topic = filled.startsWith('$') ? percent(0x24) + filled.slice(1) : filled;
  if (topic === '') return { problem: 'the topic is empty' };
  const bytes = Buffer.byteLength(topic);
  if (bytes > MAX_TOPIC_BYTES)
    return { problem: `the topic has ${bytes} bytes, above the ${MAX_TOPIC_BYTES} of MQTT` };
  return { topic };
}

/** A name as a text of MQTT, where wildcards are allowed and control characters are not. */
export function labelOf(name: Buffer): string {
  return nameOf(name, (text) =>
    text.replaceAll(UNSAFE, (character) =>
      character === '+' || character === '#' ? character : escaped(character),
    ),
  );
}

function escaped(character: string): string {
  return [...wtf8(character)].map(percent).join('');
}

/** Wildcards, NUL, what brokers refuse (control characters, non-characters) and lone surrogates. */
function escapeLevels(text: string): string {
  return text.replaceAll(/%(?=[0-9A-Fa-f]{2})/g, '%25').replaceAll(UNSAFE, escaped);
}

const UNSAFE = /[+#\p{Cc}\p{Surrogate}\p{Noncharacter_Code_Point}]/gu;

function unsafe(text: string): boolean {
  return text.search(UNSAFE) >= 0;
}

/** UTF-8, also of a surrogate without its partner, for which the encoder would put a replacement character. */
function wtf8(character: string): Uint8Array {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0xd800 || code > 0xdfff) return Buffer.from(character);
  return Uint8Array.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
}
