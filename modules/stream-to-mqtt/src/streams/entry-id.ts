/** Compares two stream ids (`milliseconds-sequence`); both parts may exceed what a number holds exactly. */
export function compareIds(a: string, b: string): number {
  if (a === b) return 0;
  const dashA = a.indexOf('-');
  const dashB = b.indexOf('-');
  return (
    compareDecimals(a.slice(0, dashA), b.slice(0, dashB)) ||
    compareDecimals(a.slice(dashA + 1), b.slice(dashB + 1))
  );
}

/** Decimals without leading zeros: the longer one is the larger one. */
function compareDecimals(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The id right after this one. */
export function nextId(id: string): string {
  const dash = id.indexOf('-');
  const sequence = BigInt(id.slice(dash + 1)) + 1n;
  return `${id.slice(0, dash)}-${sequence}`;
}

/** Milliseconds since 1970 at which Redis stamped the entry. */
export function idTime(id: string): number {
  return Number(id.slice(0, id.indexOf('-')));
}

const LAST_DATE = 8.64e15;

/** ISO-8601 in UTC from an id; ids made by hand may lie outside of what a date holds. */
export function idTimestamp(id: string): string {
  return new Date(Math.min(idTime(id), LAST_DATE)).toISOString();
}
