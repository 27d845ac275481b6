/** Where a broker is and how it is spoken to. */
export interface BrokerAddress {
  readonly kind: 'tcp' | 'tls' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
  /** Path and query of a WebSocket URL. */
  readonly path: string;
  /** For logs: never with a user or password. */
  readonly text: string;
}

const KINDS: Readonly<Record<string, readonly [BrokerAddress['kind'], number]>> = {
  'mqtt:': ['tcp', 1883],
  'tcp:': ['tcp', 1883],
  'mqtts:': ['tls', 8883],
  'ssl:': ['tls', 8883],
  'tls:': ['tls', 8883],
  'ws:': ['ws', 80],
  'wss:': ['wss', 443],
};

/** Reads `mqtt://host[:port]`, `mqtts://…`, `ws://host/path`, `wss://…`. */
export function parseBroker(
  given: string,
): { readonly address: BrokerAddress } | { readonly problem: string } {
  const scheme = /^([a-z]+:)\/\//i.exec(given)?.[1]?.toLowerCase();
  const kind = scheme === undefined ? undefined : KINDS[scheme];
  if (scheme === undefined || kind === undefined) {
    return { problem: 'starts with mqtt://, mqtts://, ws:// or wss://' };
  }
  let url: URL;
  try {
    // Node parses hosts and ports of schemes it knows in full only.
    url = new URL(given.replace(/^[a-z]+:/i, 'http:'));
  } catch {
    return { problem: 'is a URL with a host and, when it is not the standard one, a port' };
  }
  if (url.username !== '' || url.password !== '') {
    return { problem: 'has no user and password in it; set MQTT_USERNAME and MQTT_PASSWORD' };
  }
  const isWeb = kind[0] === 'ws' || kind[0] === 'wss';
  if (!isWeb && (url.pathname !== '/' || url.search !== ''))
    return { problem: 'has no path, except for ws:// and wss://' };
  // The standard port of http is left out by the parser when it is given.
  const given80 = /:80(?:[/?]|$)/.test(given.slice(scheme.length + 2));
  const port = url.port === '' ? (given80 ? 80 : kind[1]) : Number(url.port);
  return {
    address: addressOf(
      kind[0],
      url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      isWeb ? url.pathname + url.search : '',
    ),
  };
}

export function addressOf(kind: BrokerAddress['kind'], host: string, port: number, path = ''): BrokerAddress {
  const scheme = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }[kind];
  const shown = host.includes(':') ? `[${host}]` : host;
  return { kind, host, port, path, text: `${scheme}://${shown}:${port}${path.replace(/\?.*/, '')}` };
}
