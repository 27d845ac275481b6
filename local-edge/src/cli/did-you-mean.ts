/** Edits between two words (insert, delete, replace, and swap of neighbours). */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
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

/** `; did you mean X?` when one of the known words is near, else nothing. */
export function didYouMean(given: string, known: readonly string[]): string {
  const near = known
    .map((word) => ({ word, edits: distance(given.toLowerCase(), word.toLowerCase()) }))
    .filter(({ word, edits }) => edits <= Math.max(1, Math.floor(Math.min(given.length, word.length) / 3)))
    .sort((a, b) => a.edits - b.edits)[0];
  return near === undefined ? '' : `; did you mean ${near.word}?`;
}
