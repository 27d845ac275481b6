import { RouteSyntaxError } from './lexer.ts';
import type { Value } from './values.ts';

interface Step {
  readonly name: string;
  readonly index?: number;
}

/** Compiles the part after `$body.`: names with at most one index each, as edgeHub's limited JSON path has it. */
export function compileBodyPath(path: string, at: number): (body: unknown) => Value {
  const steps = path.split('.').map((part): Step => {
    const match = /^([^()<>@,;:\\"/[\]?={}.\s]+)(?:\[(\d+)\])?$/.exec(part);
    if (match?.[1] === undefined) {
      throw new RouteSyntaxError(
        `"$body.${path}" is no path; write $body.name, $body.a.b or $body.list[0]`,
        at,
      );
    }
    return match[2] === undefined ? { name: match[1] } : { name: match[1], index: Number(match[2]) };
  });
  return (body) => {
    let value: unknown = body;
    for (const { name, index } of steps) {
      value = memberOf(value, name);
      if (index !== undefined) value = Array.isArray(value) ? (value as unknown[])[index] : undefined;
    }
    return isScalar(value) ? value : undefined;
  };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** Objects and arrays are no values for conditions. */
function isScalar(value: unknown): value is string | number | boolean | null {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
