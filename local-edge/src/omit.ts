/** A copy of an object without some of its keys. */
export function omit<T extends object, K extends string>(value: T, ...keys: readonly K[]): Omit<T, K> {
  const gone = new Set<string>(keys);
  return Object.fromEntries(Object.entries(value).filter(([key]) => !gone.has(key))) as Omit<T, K>;
}
