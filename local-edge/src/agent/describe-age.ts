/** A time span for a human: `12 seconds`, `3 minutes`, `2 days`. */
export function describeAge(ms: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ];
  for (const [name, length] of units) {
    if (ms >= length) return plural(Math.floor(ms / length), name);
  }
  return plural(Math.max(0, Math.floor(ms / 1000)), 'second');
}

function plural(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}
