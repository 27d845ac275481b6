/** What an expression of a condition can be at run time. */
export type Value = string | number | boolean | null | undefined;

/**
 * What edgeHub knows of an expression when it compiles a route. Properties are always `string`, so `temp > 20` does not compile there
 * and `as_number(temp) > 20` does. `body` is a value out of `$body`, which fits any type.
 */
export type StaticType = 'string' | 'number' | 'bool' | 'null' | 'undefined' | 'body';

/** What a condition may look at. Property names have no case. */
export interface ConditionInput {
  application(name: string): string | undefined;
  system(name: string): string | undefined;
  /** Undefined when the message does not say that it is JSON, or is not. */
  body(): unknown;
}

export interface Compiled {
  readonly type: StaticType;
  readonly run: (input: ConditionInput) => Value;
}
