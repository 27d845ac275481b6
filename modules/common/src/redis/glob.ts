/**
 * Redis' glob: `*` any text, `?` one character, `[abc]`, `[a-z]`, `[^a]`, and `\` before a literal. Goes back to the last
 * star only, so that no pattern takes more than pattern times text steps.
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  const parts = compileGlob(pattern);
  return (text) => matches(parts, Array.from(text));
}

function matches(parts: readonly Matcher[], characters: readonly string[]): boolean {
  let part = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < characters.length) {
    const current = parts[part];
    if (current === 'star') {
      star = part;
      starAt = at;
      part += 1;
    } else if (current?.(characters[at] ?? '') === true) {
      part += 1;
      at += 1;
    } else if (star >= 0) {
      part = star + 1;
      starAt += 1;
      at = starAt;
    } else {
      return false;
    }
  }
  return parts.slice(part).every((rest) => rest === 'star');
}

type Matcher = 'star' | ((character: string) => boolean);

function compileGlob(pattern: string): Matcher[] {
  const characters = Array.from(pattern);
  const parts: Matcher[] = [];
  for (let i = 0; i < characters.length; i += 1) {
    const character = characters[i] ?? '';
    if (character === '*') parts.push('star');
    else if (character === '?') parts.push(() => true);
    else if (character === '[') {
      const set = readSet(characters, i + 1);
      parts.push(set.matches);
      i = set.end;
    } else {
      const literal =
        character === '\\' && i + 1 < characters.length ? (characters[(i += 1)] ?? '') : character;
      parts.push((given) => given === literal);
    }
  }
  return parts;
}

/** As in Redis, a set that is not closed ends with the pattern. */
function readSet(
  characters: readonly string[],
  start: number,
): { matches: (character: string) => boolean; end: number } {
  const isNegated = characters[start] === '^';
  const ranges: [string, string][] = [];
  let i = isNegated ? start + 1 : start;
  for (; i < characters.length && characters[i] !== ']'; i += 1) {
    if (characters[i] === '\\' && i + 1 < characters.length) i += 1;
    const from = characters[i] ?? '';
    if (characters[i + 1] === '-' && i + 2 < characters.length) {
      const to = characters[i + 2] ?? '';
      ranges.push(from <= to ? [from, to] : [to, from]);
      i += 2;
    } else {
      ranges.push([from, from]);
    }
  }
  const isIn = (character: string): boolean =>
    ranges.some(([from, to]) => character >= from && character <= to);
  return { matches: (character) => isIn(character) !== isNegated, end: i };
}
