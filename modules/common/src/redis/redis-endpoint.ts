/** Where one Redis server listens, as written by a person in one line of text. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
}

export type EndpointResult = { readonly endpoint: Endpoint } | { readonly problem: string };

const DEFAULT_PORT = 6379;
const FORMS = 'expected host, host:port, [ipv6]:port, redis://host:port/db or rediss://host:port/db';

/**
 * Reads `host`, `host:port`, `[v6]:port`, a bare IPv6 address, `redis://[user:password@]host[:port][/db]` and `rediss://…`.
 * A problem says what is expected and never repeats the text, which may hold a password.
 */
export function parseEndpoint(text: string): EndpointResult {
  const trimmed = text.trim();
  if (trimmed === '') return { problem: `empty; ${FORMS}` };
  if (trimmed.includes(',')) {
    return {
      problem: `one server only, without options after a comma; ${FORMS}; use REDIS_PASSWORD, REDIS_SSL … for the rest`,
    };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(trimmed);
  if (scheme !== null) return parseUrl(trimmed.slice(scheme[0].length), (scheme[1] ?? '').toLowerCase());
  if (/[/?#@\s]/.test(trimmed)) {
    return {
      problem: `host:port without path, user or white space unless it starts with redis:// or rediss://; ${FORMS}`,
    };
  }
  const place = parsePlace(trimmed);
  return 'problem' in place ? place : { endpoint: { ...place, db: 0, tls: false } };
}

function parseUrl(rest: string, scheme: string): EndpointResult {
  if (scheme !== 'redis' && scheme !== 'rediss') return { problem: `unknown scheme; ${FORMS}` };
  if (/[?#\s]/.test(rest))
    return { problem: `no query, fragment or white space (percent-encode them in a password); ${FORMS}` };
  // The last @ ends the credentials, so that a password with a raw @ still finds its host.
  const at = rest.lastIndexOf('@');
  const [place = '', ...path] = rest.slice(at + 1).split('/');
  if (path.length > 1) return { problem: `only a database number may follow the port; ${FORMS}` };
  const db = parseDatabase(path[0] ?? '');
  if (db === undefined)
    return { problem: `the part after the / is a database number from 0 to 65535; ${FORMS}` };
  const parsed = parsePlace(place);
  if ('problem' in parsed) return parsed;
  const credentials = at < 0 ? {} : parseCredentials(rest.slice(0, at));
  if (credentials === undefined)
    return { problem: `user or password is not valid percent-encoding; ${FORMS}` };
  return { endpoint: { ...parsed, db, tls: scheme === 'rediss', ...credentials } };
}

function parseDatabase(text: string): number | undefined {
  if (text === '') return 0;
  const db = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return db <= 65_535 ? db : undefined;
}

function parseCredentials(text: string): { username?: string; password?: string } | undefined {
  const colon = text.indexOf(':');
  try {
    const username = decodeURIComponent(colon < 0 ? text : text.slice(0, colon));
    const password = colon < 0 ? '' : decodeURIComponent(text.slice(colon + 1));
    return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) };
  } catch {
    return undefined;
  }
}

/** `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address, which has more than one colon. */
export function parsePlace(
  text: string,
  defaultPort = DEFAULT_PORT,
): { host: string; port: number } | { problem: string } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const host = bracketed[1] ?? '';
    return isIpv6(host)
      ? withPort(host, bracketed[2], defaultPort)
      : { problem: `no IPv6 address between the brackets; ${FORMS}` };
  }
  const colons = text.split(':').length - 1;
  if (colons > 1)
    return isIpv6(text) ? { host: text, port: defaultPort } : { problem: `too many colons; ${FORMS}` };
  const [host = '', port] = text.split(':');
  // Underscores are not legal in host names, but container names carry them and resolve.
  if (!/^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$/.test(host)) return { problem: `no host name; ${FORMS}` };
  return withPort(host, port, defaultPort);
}

function withPort(
  host: string,
  text: string | undefined,
  defaultPort: number,
): { host: string; port: number } | { problem: string } {
  if (text === undefined) return { host, port: defaultPort };
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? { host, port } : { problem: 'the port is a number from 1 to 65535' };
}

function isIpv6(text: string): boolean {
  // A zone index (fe80::1%eth0) belongs to the address on the device, URL parsers refuse it.
  const address = text.replace(/%[A-Za-z0-9_.-]+$/, '');
  return address.includes(':') && URL.canParse(`redis://[${address}]`) && /^[0-9a-f:.]+$/i.test(address);
}

/** `host:port`, with brackets around IPv6. */
export function formatPlace(place: { readonly host: string; readonly port: number }): string {
  return place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`;
}

/** The endpoint for logs and reports: the password is never in it, a user name is. */
export function formatEndpoint(endpoint: Endpoint): string {
  const place = formatPlace(endpoint);
  const hasMore =
    endpoint.tls || endpoint.db !== 0 || endpoint.username !== undefined || endpoint.password !== undefined;
  if (!hasMore) return place;
  const user = endpoint.username === undefined ? '' : encodeURIComponent(endpoint.username);
  const secret = endpoint.password === undefined ? '' : ':***';
  const credentials = user === '' && secret === '' ? '' : `${user}${secret}@`;
  return `${endpoint.tls ? 'rediss' : 'redis'}://${credentials}${place}${endpoint.db === 0 ? '' : `/${endpoint.db}`}`;
}
