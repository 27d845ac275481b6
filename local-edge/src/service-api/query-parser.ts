import type { Column, Comparison, Condition, Operand, Query, Token } from './query-language.ts';
import { QueryError, tokenize } from './query-language.ts';

const COMPARISONS: ReadonlyMap<string, Comparison> = new Map<string, Comparison>([
  ['=', '='],
  ['!=', '!='],
  ['<>', '!='],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
]);

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  next(): Token | undefined {
    const token = this.#tokens[this.#at];
    this.#at += 1;
    return token;
  }

  /** Takes the word or symbol if it is next; keywords are written in any case. */
  take(text: string): boolean {
    const token = this.peek();
    if (token === undefined || token.kind === 'value') return false;
    if (token.text.toLowerCase() !== text.toLowerCase()) return false;
    this.#at += 1;
    return true;
  }

  expect(text: string): void {
    if (!this.take(text)) throw new QueryError(`Expected ${text} but found ${this.found()}`);
  }

  found(): string {
    return this.peek()?.text.trim() ?? 'the end';
  }
}

function readName(reader: Reader): string {
  const token = reader.peek();
  if (token?.kind !== 'word') throw new QueryError(`Expected a name but found ${reader.found()}`);
  reader.next();
  return token.text;
}

function readPath(reader: Reader): string[] {
  const path = [readName(reader)];
  for (;;) {
    if (reader.take('.')) path.push(readName(reader));
    else if (reader.take('[')) {
      const key = reader.next();
      if (key?.kind !== 'value') throw new QueryError('Expected a quoted key after [');
      path.push(String(key.value));
      reader.expect(']');
    } else return path;
  }
}

function readOperand(reader: Reader): Operand {
  const token = reader.peek();
  if (token?.kind === 'value') {
    reader.next();
    return { value: token.value };
  }
  if (reader.take('true')) return { value: true };
  if (reader.take('false')) return { value: false };
  if (reader.take('null')) return { value: null };
  return { path: readPath(reader) };
}

function readList(reader: Reader): Operand[] {
  reader.expect('[');
  const values = [readOperand(reader)];
  while (reader.take(',')) values.push(readOperand(reader));
  reader.expect(']');
  return values;
}

function readTerm(reader: Reader): Condition {
  if (reader.take('not')) return { kind: 'not', condition: readTerm(reader) };
  if (reader.take('(')) {
    const inner = readOr(reader);
    reader.expect(')');
    return inner;
  }
  if (reader.take('is_defined')) {
    reader.expect('(');
    const path = readPath(reader);
    reader.expect(')');
    return { kind: 'isDefined', path };
  }
  const left = readOperand(reader);
  if (reader.take('not')) {
    reader.expect('in');
    return { kind: 'in', negated: true, left, values: readList(reader) };
  }
  if (reader.take('in')) return { kind: 'in', negated: false, left, values: readList(reader) };
  const operator = COMPARISONS.get(reader.peek()?.text ?? '');
  if (operator === undefined) throw new QueryError(`Expected a comparison but found ${reader.found()}`);
  reader.next();
  return { kind: 'compare', operator, left, right: readOperand(reader) };
}

function readAnd(reader: Reader): Condition {
  let left = readTerm(reader);
  while (reader.take('and')) left = { kind: 'and', left, right: readTerm(reader) };
  return left;
}

function readOr(reader: Reader): Condition {
  let left = readAnd(reader);
  while (reader.take('or')) left = { kind: 'or', left, right: readAnd(reader) };
  return left;
}

function readColumn(reader: Reader): Column {
  const path = readPath(reader);
  return { path, name: reader.take('as') ? readName(reader) : (path.at(-1) ?? '') };
}

function readSelect(reader: Reader): Query['select'] {
  if (reader.take('*')) return 'all';
  if (reader.take('count')) {
    reader.expect('(');
    reader.take('*');
    reader.expect(')');
    return { count: reader.take('as') ? readName(reader) : 'count' };
  }
  const columns = [readColumn(reader)];
  while (reader.take(',')) columns.push(readColumn(reader));
  return { columns };
}

function readTop(reader: Reader): number | null {
  if (!reader.take('top')) return null;
  const token = reader.next();
  if (token?.kind !== 'value' || !Number.isInteger(token.value) || Number(token.value) < 0) {
    throw new QueryError('TOP needs a whole number');
  }
  return Number(token.value);
}

function readEnd(reader: Reader): void {
  if (!reader.done) throw new QueryError(`${reader.found()} is not understood at this place`);
}

/** `SELECT * | columns | COUNT() FROM devices | devices.modules [WHERE …]`, the subset that the local edge offers. */
export function parseQuery(text: string): Query {
  const reader = new Reader(text);
  reader.expect('select');
  const top = readTop(reader);
  const select = readSelect(reader);
  reader.expect('from');
  const source = readPath(reader).join('.').toLowerCase();
  if (source !== 'devices' && source !== 'devices.modules') {
    throw new QueryError(`FROM ${source} is not emulated, only devices and devices.modules`);
  }
  const where = reader.take('where') ? readOr(reader) : null;
  readEnd(reader);
  return { source, top, select, where };
}

/** A condition alone, as deployments have for their targets. */
export function parseCondition(text: string): Condition {
  const reader = new Reader(text);
  const condition = readOr(reader);
  readEnd(reader);
  return condition;
}
