/** Where and why a text is not JSON, counted from 1. JSON.parse itself quotes the text and often names no position. */
export interface JsonMistake {
  readonly position: number;
  readonly expected: string;
}

class Scanner {
  at = 0;
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  fail(expected: string): JsonMistake {
    return { position: this.at + 1, expected };
  }

  blank(): void {
    while (/[ \t\r\n]/.test(this.text[this.at] ?? '')) this.at += 1;
  }

  take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  match(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return false;
    this.at += found[0].length;
    return true;
  }

  value(): JsonMistake | undefined {
    this.blank();
    if (this.take('{')) return this.members();
    if (this.take('[')) return this.items();
    if (this.text[this.at] === '"') return this.string();
    if (this.match(/true|false|null/y) || this.match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y))
      return undefined;
    return this.fail('a JSON value (a text needs double quotes)');
  }

  string(): JsonMistake | undefined {
    if (!this.take('"')) return this.fail('a key in double quotes');
    while (this.character());
    return this.take('"') ? undefined : this.fail('the end of a text, or an escaped character');
  }

  /** One character of a text; control characters have to be escaped. */
  character(): boolean {
    if (this.match(/\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y)) return true;
    const next = this.text[this.at];
    if (next === undefined || next === '"' || next === '\\' || next < ' ') return false;
    this.at += 1;
    return true;
  }

  members(): JsonMistake | undefined {
    this.blank();
    if (this.take('}')) return undefined;
    for (;;) {
      this.blank();
      const key = this.string();
      if (key !== undefined) return key;
      this.blank();
      if (!this.take(':')) return this.fail('a colon');
      const value = this.value();
      if (value !== undefined) return value;
      this.blank();
      if (this.take('}')) return undefined;
      if (!this.take(',')) return this.fail('a comma or }');
    }
  }

  items(): JsonMistake | undefined {
    this.blank();
    if (this.take(']')) return undefined;
    for (;;) {
      const value = this.value();
      if (value !== undefined) return value;
      this.blank();
      if (this.take(']')) return undefined;
      if (!this.take(',')) return this.fail('a comma or ]');
    }
  }
}

/** Whether arrays and objects lie within each other in more than so many levels, be the text JSON or not. */
export function isDeeperThan(levels: number, text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth > levels) return true;
  }
  return false;
}

/** Undefined when the text is JSON. It must not be too deep for the stack. */
export function findJsonMistake(text: string): JsonMistake | undefined {
  const scanner = new Scanner(text);
  const mistake = scanner.value();
  if (mistake !== undefined) return mistake;
  scanner.blank();
  return scanner.at < text.length ? scanner.fail('nothing more') : undefined;
}
