/** A Redis pattern (`*`, `?`, `[a-z]`, `[^a]`, `\` before a special character) as a test of whole names. */
export function globMatcher(pattern: string): (name: string) => boolean {
  const source = pattern.replaceAll(
    /\\(.)|\[(\^?)((?:\\.|[^\]\\])*)\]|\*+|./gsu,
    (all: string, escaped?: string, negated?: string, set?: string) => {
      if (escaped !== undefined) return literal(escaped);
      if (set !== undefined) return set === '' ? '(?!)' : `[${negated ?? ''}${members(set)}]`;
      if (all.startsWith('*')) return '.*';
      return all === '?' ? '.' : literal(all);
    },
  );
  const expression = new RegExp(`^${source}$`, 'su');
  return (name) => expression.test(name);
}

/** By its number, which has no other meaning anywhere in an expression. */
function literal(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Ranges keep their order only when it is one: Redis takes `[z-a]` for `[a-z]`. */
function members(set: string): string {
  const item = String.raw`(?:\\(?<escaped>.)|(?<plain>.))`;
  const characters = [...set.matchAll(new RegExp(item, 'gsu'))].map(({ groups }) => ({
    character: groups?.['escaped'] ?? groups?.['plain'] ?? '',
    isEscaped: groups?.['escaped'] !== undefined,
  }));
  let out = '';
  for (let at = 0; at < characters.length; at += 1) {
    const from = characters[at];
    const dash = characters[at + 1];
    const to = characters[at + 2];
    if (from === undefined) break;
    if (dash?.character === '-' && !dash.isEscaped && to !== undefined) {
      const [low, high] = from.character <= to.character ? [from, to] : [to, from];
      out += `${literal(low.character)}-${literal(high.character)}`;
      at += 2;
    } else out += literal(from.character);
  }
  return out;
}
