import type { JsonObject, JsonValue } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import type { Comparison, Condition, Operand, Query } from './query-language.ts';

function valueAt(row: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = row;
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function resolve(row: JsonObject, operand: Operand): JsonValue | undefined {
  return 'path' in operand ? valueAt(row, operand.path) : operand.value;
}

function compare(operator: Comparison, left: JsonValue | undefined, right: JsonValue | undefined): boolean {
  if (operator === '=') return left !== undefined && left === right;
  // Like IoT Hub, a missing property differs from every value.
  if (operator === '!=') return left !== right;
  const numbers = typeof left === 'number' && typeof right === 'number';
  const texts = typeof left === 'string' && typeof right === 'string';
  if (!numbers && !texts) return false;
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}

/** Whether a twin (in the service's form) meets a condition. */
export function meets(row: JsonObject, condition: Condition): boolean {
  switch (condition.kind) {
    case 'and':
      return meets(row, condition.left) && meets(row, condition.right);
    case 'or':
      return meets(row, condition.left) || meets(row, condition.right);
    case 'not':
      return !meets(row, condition.condition);
    case 'compare':
      return compare(condition.operator, resolve(row, condition.left), resolve(row, condition.right));
    case 'in': {
      const left = resolve(row, condition.left);
      return condition.values.some((value) => compare('=', left, resolve(row, value))) !== condition.negated;
    }
    case 'isDefined':
      return valueAt(row, condition.path) !== undefined;
  }
}

/** The rows that a query selects, in its shape. */
export function evaluate(query: Query, rows: readonly JsonObject[]): JsonObject[] {
  const { where, select, top } = query;
  const found = where === null ? [...rows] : rows.filter((row) => meets(row, where));
  if (select !== 'all' && 'count' in select) return [{ [select.count]: found.length }];
  const limited = top === null ? found : found.slice(0, top);
  if (select === 'all') return limited;
  return limited.map((row) => {
    const picked = select.columns.flatMap(({ path, name }): [string, JsonValue][] => {
      const value = valueAt(row, path);
      return value === undefined ? [] : [[name, value]];
    });
    return Object.fromEntries(picked);
  });
}
