import type { Reply } from './replies.ts';
import type { ServiceRequest } from './request.ts';

export type Handler = (request: ServiceRequest) => Reply | Promise<Reply>;

/** A method and a pattern such as `/twins/:device/modules/:module`; `*` at the end takes everything below. */
export interface Route {
  readonly method: string;
  readonly pattern: string;
  readonly handler: Handler;
}

export type Match =
  | {
      readonly kind: 'route';
      readonly handler: Handler;
      readonly parameters: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'otherMethod'; readonly allowed: string[] }
  | { readonly kind: 'none' };

/** Path segments, decoded one by one; a trailing slash is no segment. Undefined for a malformed escape. */
export function segmentsOf(path: string): string[] | undefined {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function matchPattern(
  pattern: readonly string[],
  path: readonly string[],
): Record<string, string> | undefined {
  const open = pattern.at(-1) === '*';
  const fixed = open ? pattern.slice(0, -1) : pattern;
  if (open ? path.length < fixed.length : path.length !== fixed.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of fixed.entries()) {
    const actual = path[index] ?? '';
    if (part.startsWith(':')) parameters[part.slice(1)] = actual;
    else if (part.toLowerCase() !== actual.toLowerCase()) return undefined;
  }
  return parameters;
}

/** Finds routes in the order in which they are declared. */
export function createRouter(routes: readonly Route[]): (method: string, path: string) => Match {
  const table = routes.map((route) => ({ ...route, segments: route.pattern.split('/').filter(Boolean) }));
  return (method, path) => {
    const segments = segmentsOf(path);
    if (segments === undefined) return { kind: 'none' };
    const allowed: string[] = [];
    for (const route of table) {
      const parameters = matchPattern(route.segments, segments);
      if (parameters === undefined) continue;
      if (route.method === method || route.method === 'ANY')
        return { kind: 'route', handler: route.handler, parameters };
      allowed.push(route.method);
    }
    return allowed.length > 0 ? { kind: 'otherMethod', allowed } : { kind: 'none' };
  };
}
