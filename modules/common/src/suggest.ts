/** Number of single-letter changes between two texts, swaps of neighbours counted as one. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The known name that was probably meant, if one is close enough. */
export function closest(given: string, known: readonly string[]): string | undefined {
  const wanted = given.toLowerCase().replace(/[^a-z0-9]/g, '');
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const name of known) {
    const far = distance(wanted, name.toLowerCase().replace(/[^a-z0-9]/g, ''));
    if (far < bestDistance) [best, bestDistance] = [name, far];
  }
  return best;
}

/** "unknown; did you mean …? Known are: …": for names that a person typed. */
export function unknownName(given: string, known: readonly string[]): string {
  const hint = closest(given, known);
  const names = known.length > 0 ? `known are: ${known.join(', ')}` : 'none is known here';
  return hint === undefined ? `unknown; ${names}` : `unknown; did you mean ${hint}? ${names}`;
}
