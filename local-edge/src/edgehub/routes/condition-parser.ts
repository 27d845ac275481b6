import { RouteSyntaxError, quote, type Token, type TokenReader } from './lexer.ts';

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null | undefined }
  | { readonly kind: 'property'; readonly name: string; readonly token: Token }
  | { readonly kind: 'sysprop'; readonly name: string; readonly escaped: boolean; readonly token: Token }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Expression[];
      readonly token: Token;
    }
  | { readonly kind: 'unary'; readonly op: string; readonly operand: Expression; readonly token: Token }
  | {
      readonly kind: 'binary';
      readonly op: string;
      readonly left: Expression;
      readonly right: Expression;
      readonly token: Token;
    };

/** Binary operators from the loosest to the tightest. `NOT` and `-` bind tighter than all of them: `NOT a = b` is `(NOT a) = b`. */
const levels: readonly (readonly string[])[] = [
  ['??'],
  ['or'],
  ['and'],
  ['=', '!=', '<>'],
  ['<', '<=', '>', '>='],
  ['+', '-', '||'],
  ['*', '/', '%'],
];

/** Far beyond what conditions need; one of any depth would not fit on the stack. */
const maxDepth = 100;

export function parseCondition(reader: TokenReader): Expression {
  return parseLevel(reader, 0, 0);
}

function parseLevel(reader: TokenReader, level: number, depth: number): Expression {
  const operators = levels[level];
  if (operators === undefined) return parseUnary(reader, depth);
  let left = parseLevel(reader, level + 1, depth);
  for (;;) {
    const token = reader.takeOperator(...operators);
    if (token === undefined) return left;
    const right = parseLevel(reader, level + 1, depth);
    left = { kind: 'binary', op: token.text.toLowerCase(), left, right, token };
  }
}

function parseUnary(reader: TokenReader, depth: number): Expression {
  if (depth > maxDepth)
    throw new RouteSyntaxError(`the condition is nested deeper than ${maxDepth} levels`, reader.peek().at);
  const token = reader.takeOperator('-', 'not');
  if (token === undefined) return parsePrimary(reader, depth);
  return { kind: 'unary', op: token.text.toLowerCase(), operand: parseUnary(reader, depth + 1), token };
}

function parsePrimary(reader: TokenReader, depth: number): Expression {
  const token = reader.peek();
  switch (token.type) {
    case 'string':
      reader.next();
      return { kind: 'literal', value: unescape(token.text.slice(1, -1)) };
    case 'number':
      reader.next();
      return { kind: 'literal', value: Number(token.text) };
    case 'hex':
      reader.next();
      return { kind: 'literal', value: Number.parseInt(token.text.slice(2), 16) };
    case 'literal':
      reader.next();
      return { kind: 'literal', value: literals[token.text] };
    case 'sysprop':
      reader.next();
      return { kind: 'sysprop', name: token.text, escaped: false, token };
    case 'id':
      return parseNameOrCall(reader, depth);
    case 'unterminated':
      throw new RouteSyntaxError('the string has no closing quote', token.at);
    case 'operator':
      if (token.text === '(') return parseNested(reader, depth);
      if (token.text === '{') return parseEscaped(reader);
      break;
    case 'keyword':
    case 'path':
    case 'unknown':
    case 'end':
      break;
  }
  return reader.fail(`a value, a property or a function, not ${quote(token)}`);
}

const literals: Readonly<Record<string, boolean | null | undefined>> = {
  true: true,
  false: false,
  null: null,
  undefined: undefined,
};

function parseNested(reader: TokenReader, depth: number): Expression {
  reader.next();
  const inner = parseLevel(reader, 0, depth + 1);
  reader.expectOperator(')', 'a closing ")"');
  return inner;
}

function parseEscaped(reader: TokenReader): Expression {
  reader.next();
  const token = reader.next();
  if (token.type !== 'sysprop') {
    throw new RouteSyntaxError(`expected a system property like {$body.x}, not ${quote(token)}`, token.at);
  }
  reader.expectOperator('}', 'a closing "}"');
  return { kind: 'sysprop', name: token.text, escaped: true, token };
}

function parseNameOrCall(reader: TokenReader, depth: number): Expression {
  const token = reader.next();
  if (reader.takeOperator('(') === undefined) {
    if (token.text.toLowerCase() === 'in') {
      throw new RouteSyntaxError('edgeHub routes have no IN; compare with = and OR', token.at);
    }
    return { kind: 'property', name: token.text, token };
  }
  const args: Expression[] = [];
  if (reader.takeOperator(')') === undefined) {
    do args.push(parseLevel(reader, 0, depth + 1));
    while (reader.takeOperator(',') !== undefined);
    reader.expectOperator(')', 'a closing ")"');
  }
  return { kind: 'call', name: token.text, args, token };
}

function unescape(text: string): string {
  return text
    .replace(/\\u([0-9a-f]{4})/gi, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\(["'\\])/g, '$1');
}
