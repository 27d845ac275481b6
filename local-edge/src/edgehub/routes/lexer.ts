export type TokenType =
  | 'keyword'
  | 'string'
  | 'unterminated'
  | 'number'
  | 'hex'
  | 'literal'
  | 'operator'
  | 'sysprop'
  | 'id'
  | 'path'
  | 'unknown'
  | 'end';

export interface Token {
  readonly type: TokenType;
  readonly text: string;
  /** Offset in the route text, from 0. */
  readonly at: number;
}

/** A fault in a route, at an offset of its text. */
export class RouteSyntaxError extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.name = 'RouteSyntaxError';
    this.at = at;
  }
}

/**
 * The lexer rules of edgeHub's route grammar, in its order: the longest match wins, then the first rule. So `a*b` is one identifier,
 * `a!=b` is the identifier `a!` and `=`, and white space around operators matters, as it does there.
 */
const rules: readonly (readonly [TokenType | 'skip', RegExp])[] = [
  ['keyword', /(?:select|from|where|into)/iy],
  ['string', /"(?:\\(?:["'\\]|u[0-9a-f]{4})|[^"\\])*"|'(?:\\(?:["'\\]|u[0-9a-f]{4})|[^'\\])*'/iy],
  ['unterminated', /"(?:\\(?:["'\\]|u[0-9a-f]{4})|[^"\\])*|'(?:\\(?:["'\\]|u[0-9a-f]{4})|[^'\\])*/iy],
  ['number', /-?\d+/y],
  ['hex', /0x[0-9a-f]+/iy],
  ['number', /-?\d*\.\d+(?:e[+-]?\d+)?|-?\d*e[+-]?\d+/iy],
  ['literal', /true|false|null|undefined/y],
  ['operator', /[(),+\-*/%{}]|!=|<>|<=|>=|=|>|<|\|\||\?\?/y],
  ['operator', /and|or|not/iy],
  ['sysprop', /\$[^()<>@,;:\\"/?={} \t\n\r]+/y],
  ['id', /[^()<>@,;:\\"/[\]?={} \t\n\r]+/y],
  ['path', /[^()<>@,;:\\"/?={} \t\n\r]+/y],
  ['skip', /[ \t\r\n]+/y],
  ['skip', /\/\*[\s\S]*?\*\//y],
];

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    let type: TokenType | 'skip' = 'unknown';
    let length = 0;
    for (const [candidate, pattern] of rules) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match !== null && match[0].length > length) {
        type = candidate;
        length = match[0].length;
      }
    }
    if (length === 0) length = 1;
    if (type !== 'skip') tokens.push({ type, text: text.slice(at, at + length), at });
    at += length;
  }
  tokens.push({ type: 'end', text: 'the end of the route', at: text.length });
  return tokens;
}

/** Walks over tokens; the errors it throws say what was expected where. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #index = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token {
    const token = this.#tokens[Math.min(this.#index, this.#tokens.length - 1)];
    if (token === undefined) throw new RangeError('a token list ends with an "end" token');
    return token;
  }

  next(): Token {
    const token = this.peek();
    this.#index += 1;
    return token;
  }

  isOperator(...texts: string[]): boolean {
    const token = this.peek();
    return token.type === 'operator' && texts.includes(token.text.toLowerCase());
  }

  takeOperator(...texts: string[]): Token | undefined {
    return this.isOperator(...texts) ? this.next() : undefined;
  }

  isKeyword(word: string): boolean {
    const token = this.peek();
    return token.type === 'keyword' && token.text.toLowerCase() === word;
  }

  expectOperator(text: string, what: string): Token {
    return this.takeOperator(text) ?? this.fail(`${what}, not ${quote(this.peek())}`);
  }

  fail(expected: string): never {
    throw new RouteSyntaxError(`expected ${expected}`, this.peek().at);
  }
}

export function quote(token: Token): string {
  return token.type === 'end' ? token.text : `"${token.text}"`;
}
