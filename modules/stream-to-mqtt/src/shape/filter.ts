/** A rule looks at one field; an entry passes when every rule lets it. */
export interface FilterRule {
  readonly field: string;
  /** Passes when the field has one of these values. */
  readonly values?: readonly string[];
  /** Passes when the field is absent or has none of these values. */
  readonly not?: readonly string[];
  /** Passes when the field is there (true) or is not (false). */
  readonly exists?: boolean;
  /** Streams the rule is for, as patterns; all when left out. */
  readonly streams?: readonly string[];
}

/** Field and value in turn, as Redis sends them. */
export type Pairs = readonly Buffer[];

export type Filter = (pairs: Pairs) => boolean;

/** The value of a field; the last one when the entry has it several times, as in the JSON that is published. */
export function fieldOf(pairs: Pairs, name: string): Buffer | undefined {
  const wanted = Buffer.from(name);
  for (let at = pairs.length - 2; at >= 0; at -= 2)
    if (pairs[at]?.equals(wanted) === true) return pairs[at + 1];
  return undefined;
}

/** Undefined when no rule applies, so that the common case costs nothing. */
export function createFilter(rules: readonly FilterRule[]): Filter | undefined {
  if (rules.length === 0) return undefined;
  const prepared = rules.map((rule) => ({
    field: rule.field,
    values: rule.values && new Set(rule.values),
    not: rule.not && new Set(rule.not),
    exists: rule.exists,
  }));
  return (pairs) =>
    prepared.every(({ field, values, not, exists }) => {
      const value = fieldOf(pairs, field);
      if (exists !== undefined && (value !== undefined) !== exists) return false;
      if (values && (value === undefined || !values.has(value.toString()))) return false;
      return !(not && value !== undefined && not.has(value.toString()));
    });
}
