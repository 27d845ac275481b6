/** Where a text stops being JSON. */
export interface JsonMistake {
  readonly line: number;
  readonly column: number;
  readonly problem: string;
}

export type JsonReading =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly mistake: JsonMistake };

/**
 * Reads JSON and says where it is wrong. JSON.parse names no position for many mistakes and quotes the text around them, which
 * may hold a secret; this does neither. A key given twice is a mistake here: JSON.parse would drop the first silently.
 */
export function readJson(text: string): JsonReading {
  const scan = new Scan(text);
  try {
    scan.space();
    scan.value();
    scan.space();
    if (scan.at < text.length) scan.fail('expected the end of the text');
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const before = text.slice(0, scan.at);
    const line = before.split('\n').length;
    return {
      ok: false,
      mistake: { line, column: scan.at - before.lastIndexOf('\n'), problem: error.message },
    };
  }
  return { ok: true, value: JSON.parse(text) as unknown };
}

class Stop extends Error {}

class Scan {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  fail(problem: string): never {
    throw new Stop(problem);
  }

  space(): void {
    while (' \t\r\n'.includes(this.#text[this.at] ?? 'x')) this.at++;
    if (this.#text.startsWith('//', this.at) || this.#text.startsWith('/*', this.at))
      this.fail('JSON has no comments');
  }

  value(): void {
    const next = this.#text[this.at];
    if (next === '{') this.#object();
    else if (next === '[') this.#array();
    else if (next === '"') this.#string();
    else if (!this.#literal(/(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y)) {
      this.fail(next === undefined ? 'the text ends too early' : 'expected a value');
    }
  }

  #object(): void {
    const keys = new Set<string>();
    this.at++;
    this.space();
    if (this.#take('}')) return;
    for (;;) {
      if (this.#text[this.at] !== '"') this.fail('expected a key in double quotes');
      const start = this.at;
      const key = JSON.parse(this.#string()) as string;
      if (keys.has(key)) {
        this.at = start;
        this.fail(`the key ${JSON.stringify(key)} is given twice in one object`);
      }
      keys.add(key);
      this.space();
      if (!this.#take(':')) this.fail('expected ":" after a key');
      this.space();
      this.value();
      if (this.#ends('}')) return;
    }
  }

  #array(): void {
    this.at++;
    this.space();
    if (this.#take(']')) return;
    for (;;) {
      this.value();
      if (this.#ends(']')) return;
    }
  }

  #ends(close: string): boolean {
    this.space();
    if (this.#take(close)) return true;
    if (!this.#take(','))
      this.fail(this.at < this.#text.length ? `expected "," or "${close}"` : 'the text ends too early');
    this.space();
    if (this.#text[this.at] === close) this.fail(`there is a "," before "${close}"`);
    return false;
  }

  #string(): string {
    const start = this.at;
    // eslint-disable-next-line no-control-regex -- JSON forbids control characters inside strings
    if (!this.#literal(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y)) {
      this.fail('this string has no end in its line, or holds a wrong escape or a control character');
    }
    return this.#text.slice(start, this.at);
  }

  #literal(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return false;
    this.at += found.length;
    return true;
  }

  #take(character: string): boolean {
    if (this.#text[this.at] !== character) return false;
    this.at++;
    return true;
  }
}
