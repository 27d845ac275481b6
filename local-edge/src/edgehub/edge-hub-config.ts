import type { JsonObject, JsonValue } from '../hub/hub-api.ts';
import { RouteSyntaxError } from './routes/lexer.ts';
import { parseRoute, type Route } from './routes/route.ts';

export interface ConfiguredRoute extends Route {
  readonly name: string;
  /** 0–9, lower goes first. */
  readonly priority: number;
  /** 0 = as the hub's setting. */
  readonly timeToLiveSecs: number;
}

export interface EdgeHubConfig {
  readonly routes: readonly ConfiguredRoute[];
  /** Below 0 = for ever. */
  readonly timeToLiveSecs: number;
  /** How much may wait for modules; null = no limit. */
  readonly maxStoredBytes: number | null;
}

/** The priority of routes that name none: after every one that does. */
export const defaultPriority = 2_000_000_000;
const defaultTimeToLiveSecs = 7200;
const schemaVersions = new Set(['1.0', '1.1', '1.2', '1.3']);

/** Before any deployment: nothing is routed. */
export const noConfig: EdgeHubConfig = {
  routes: [],
  timeToLiveSecs: defaultTimeToLiveSecs,
  maxStoredBytes: null,
};

/** Reads the desired properties of `$edgeHub`; each finding is a sentence that names the route and the place. */
export function parseEdgeHubConfig(desired: JsonObject): { config: EdgeHubConfig; findings: string[] } {
  const findings: string[] = [];
  const schemaVersion = desired['schemaVersion'];
  if (typeof schemaVersion !== 'string' || !schemaVersions.has(schemaVersion)) {
    findings.push(`$edgeHub: "schemaVersion" must be one of ${[...schemaVersions].join(', ')}.`);
  }
  if (desired['mqttBroker'] !== undefined) {
    findings.push('$edgeHub: "mqttBroker" is retired and not emulated; remove it.');
  }
  const routes: ConfiguredRoute[] = [];
  const declared = desired['routes'] ?? {};
  if (!isPlainObject(declared)) findings.push('$edgeHub: "routes" is not an object of named routes.');
  else {
    for (const [name, spec] of Object.entries(declared)) {
      const route = readRoute(name, spec, schemaVersion === '1.0', findings);
      if (route !== undefined) routes.push(route);
    }
  }
  const timeToLiveSecs = readTimeToLive(desired, findings);
  return { config: { routes, timeToLiveSecs, maxStoredBytes: readMaxBytes(desired, findings) }, findings };
}

function readRoute(
  name: string,
  spec: JsonValue,
  textOnly: boolean,
  findings: string[],
): ConfiguredRoute | undefined {
  const place = `$edgeHub route "${name}"`;
  let text = spec;
  let priority = defaultPriority;
  let timeToLiveSecs = 0;
  if (isPlainObject(spec)) {
    if (textOnly) {
      findings.push(`${place}: schemaVersion 1.0 takes a route as text; an object needs 1.1.`);
      return undefined;
    }
    text = spec['route'] ?? null;
    priority = readInteger(spec['priority'], 9, priority, `${place}: "priority"`, findings);
    timeToLiveSecs = readInteger(
      spec['timeToLiveSecs'],
      2 ** 32 - 1,
      0,
      `${place}: "timeToLiveSecs"`,
      findings,
    );
  }
  if (typeof text !== 'string') {
    findings.push(`${place} is neither a text nor an object with a "route" text.`);
    return undefined;
  }
  // an empty text is how a route is taken out
  if (text.trim() === '') return undefined;
  try {
    return { ...parseRoute(text), name, priority, timeToLiveSecs };
  } catch (error) {
    if (!(error instanceof RouteSyntaxError)) throw error;
    findings.push(`${place}, character ${error.at + 1}: ${error.message}.`);
    return undefined;
  }
}

function readInteger(
  value: JsonValue | undefined,
  highest: number,
  absent: number,
  what: string,
  findings: string[],
): number {
  if (value === undefined || value === null) return absent;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= highest) return value;
  findings.push(`${what} must be a whole number from 0 to ${highest}.`);
  return absent;
}

function readTimeToLive(desired: JsonObject, findings: string[]): number {
  const section = desired['storeAndForwardConfiguration'];
  if (section === undefined || section === null) return defaultTimeToLiveSecs;
  const value = isPlainObject(section) ? section['timeToLiveSecs'] : null;
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  findings.push('$edgeHub: "storeAndForwardConfiguration.timeToLiveSecs" must be a whole number.');
  return defaultTimeToLiveSecs;
}

function readMaxBytes(desired: JsonObject, findings: string[]): number | null {
  const section = desired['storeAndForwardConfiguration'];
  const limits = isPlainObject(section) ? section['storeLimits'] : undefined;
  if (limits === undefined || limits === null) return null;
  const value = isPlainObject(limits) ? limits['maxBytes'] : null;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  findings.push(
    '$edgeHub: "storeAndForwardConfiguration.storeLimits.maxBytes" must be a whole number above 0.',
  );
  return null;
}

function isPlainObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
