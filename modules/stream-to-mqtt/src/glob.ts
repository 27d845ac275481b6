/** A Redis pattern (`*`, `?`, `[a-z]`, `[^a]`, `\` before a special character) as a test of whole names. */
export function globMatcher(pattern: string): (name: string) => boolean {
  const source = pattern.replaceAll(
    /\\(.)|\[(\^?)((?:\\.|[^\]\\])*)\]|\*+|\?|([.+^${}()|[\]\\/-])/gsu,
    (all: string, escaped?: string, negated?: string, set?: string, literal?: string) => {
      if (escaped !== undefined) return quote(escaped);
      if (set !== undefined) return set === '' ? '(?!)' : `[${negated ?? ''}${quoteSet(set)}]`;
      if (literal !== undefined) return quote(literal);
      return all === '?' ? '.' : '.*';
    },
  );
  const expression = new RegExp(`^${source}$`, 'su');
  return (name) => expression.test(name);
}

function quote(character: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(character) ? `\\${character}` : character;
}

function quoteSet(set: string): string {
  return set.replaceAll(/\\(.)|([\\[\]^])|./gsu, (all: string, escaped?: string, special?: string) => {
    if (escaped !== undefined) return quote(escaped);
    return special === undefined ? all.replace(/[&!~]/, '\\x' + all.charCodeAt(0).toString(16)) : `\\${special}`;
  });
}
