const SPACE = /[ \t\r\n]*/y;
// eslint-disable-next-line no-control-regex -- JSON forbids control characters inside strings
const STRING = /"(?:[^"\\\0-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERAL = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const MAX_DEPTH = 500;

/**
 * Where a text stops being JSON; undefined when it is JSON. Needed because the parser's own messages quote the text, which
 * may hold values and secrets, and do not always say the place.
 */
export function jsonErrorPosition(text: string): number | undefined {
  let at = 0;
  let furthest = 0;

  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    furthest = Math.max(furthest, at);
    return found !== null;
  };
  const takeChar = (char: string): boolean => {
    take(SPACE);
    if (text[at] !== char) return false;
    at += 1;
    furthest = Math.max(furthest, at);
    return true;
  };
  const items = (close: string, item: () => boolean): boolean => {
    if (takeChar(close)) return true;
    do {
      if (!item()) return false;
    } while (takeChar(','));
    return takeChar(close);
  };
  const value = (depth: number): boolean => {
    take(SPACE);
    if (depth > MAX_DEPTH) return false;
    if (takeChar('{')) {
      return items('}', () => (take(SPACE), take(STRING)) && takeChar(':') && value(depth + 1));
    }
    if (takeChar('[')) return items(']', () => value(depth + 1));
    return take(STRING) || take(LITERAL);
  };

  const isWhole = value(0) && (take(SPACE), at === text.length);
  return isWhole ? undefined : furthest;
}

/** "at line 3, column 7", or "it ends too early". */
export function jsonErrorPlace(text: string): string {
  const position = jsonErrorPosition(text) ?? text.length;
  if (position >= text.length) return 'it ends too early';
  const before = text.slice(0, position).split('\n');
  return `unexpected text at line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}
