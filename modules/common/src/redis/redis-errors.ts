import { SuiteError, errorText } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
  readonly retryable: boolean;
}

function later(code: ErrorCode, text: string): Meaning {
  return { code, text, retryable: true };
}

function never(code: ErrorCode, text: string): Meaning {
  return { code, text, retryable: false };
}

const NO_PERMISSION = 'the Redis ACL does not permit this user that command, key or channel; check the ACL';

/** The first word of a Redis error reply is its code in the protocol; the words after it differ between versions. */
const REPLY_WORDS: Readonly<Record<string, Meaning>> = {
  LOADING: later('REDIS_LOADING', 'Redis is still loading its data; try again in a moment'),
  READONLY: later('REDIS_READONLY', 'this Redis is a read-only replica; point the endpoint at the primary'),
  OOM: later('REDIS_OOM', 'Redis is out of memory (maxmemory reached); free memory or raise maxmemory'),
  MISCONF: later(
    'REDIS_DISK_FULL',
    'Redis cannot write to its disk and refuses writes; check disk space and permissions',
  ),
  NOREPLICAS: later(
    'REDIS_NO_REPLICAS',
    'Redis has too few connected replicas for writes (min-replicas-to-write)',
  ),
  CLUSTERDOWN: later('REDIS_CLUSTER_DOWN', 'the Redis cluster does not serve this key now; check its nodes'),
  MASTERDOWN: later('REDIS_UNAVAILABLE', 'this replica has lost its primary and refuses stale reads'),
  BUSY: later('REDIS_BUSY', 'Redis is busy with a script; try again, or stop the script with SCRIPT KILL'),
  TRYAGAIN: later('REDIS_TRY_AGAIN', 'a slot of the Redis cluster is on the move; try again'),
  NOMASTERLINK: later('REDIS_UNAVAILABLE', 'this replica has no link to its primary yet'),
  NOAUTH: never(
    'REDIS_AUTH',
    'Redis asks for a password; set REDIS_PASSWORD (and REDIS_USERNAME for an ACL user)',
  ),
  WRONGPASS: never(
    'REDIS_AUTH',
    'Redis refuses the user name or password; check REDIS_USERNAME and REDIS_PASSWORD',
  ),
  NOPERM: never('REDIS_DENIED', NO_PERMISSION),
  DENIED: never(
    'REDIS_DENIED',
    'Redis runs in protected mode and refuses connections from other hosts; set a password or protected-mode no',
  ),
  WRONGTYPE: never('REDIS_WRONG_TYPE', 'the key holds another type of value than this operation needs'),
  EXECABORT: never('REDIS_ERROR', 'Redis refused the transaction because one of its commands was not valid'),
  CROSSSLOT: never('REDIS_ERROR', 'the keys of one command live on different nodes of the Redis cluster'),
  NOPROTO: never('REDIS_ERROR', 'Redis does not support the protocol version'),
  NOGROUP: never('REDIS_ERROR', 'the stream or its consumer group does not exist'),
  UNKILLABLE: later('REDIS_BUSY', 'Redis is busy with a script that already wrote; wait for its end'),
};

/** System error codes of sockets, name look-ups and TLS. */
const SYSTEM_CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; check that Redis runs and the port is right',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was lost',
  ENOTFOUND:
    'the host name is not known; check the endpoint and that the Redis container runs on the same network',
  EAI_AGAIN: 'the host name cannot be looked up now; check DNS',
  ETIMEDOUT: 'the connection attempt took too long; check the address and firewalls',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ECONNABORTED: 'the connection was aborted',
  EADDRNOTAVAIL: 'the address is not available',
  ERR_TLS_CERT_ALTNAME_INVALID:
    "the server's certificate is for another name; set REDIS_TLS_SERVER_NAME or fix the certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate is not trusted; set REDIS_CA_FILE",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is not trusted; set REDIS_CA_FILE",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate is not trusted; set REDIS_CA_FILE",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the server's certificate is not trusted; set REDIS_CA_FILE",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet; check the clock",
};

/** Texts that ioredis gives to plain Error objects, which carry neither class nor code. */
const LIBRARY_TEXTS: readonly (readonly [start: string, Meaning])[] = [
  [
    'Unknown RESP type',
    later('REDIS_UNAVAILABLE', 'what answers there is not Redis; check host, port and TLS of the endpoint'),
  ],
  ['Command timed out', later('REDIS_TIMEOUT', 'no answer in time')],
  ['Connection is closed', later('REDIS_UNAVAILABLE', 'the connection was closed')],
  ["Stream isn't writeable", later('REDIS_UNAVAILABLE', 'not connected')],
  ["Cluster isn't ready", later('REDIS_UNAVAILABLE', 'the Redis cluster is not connected')],
  ['Cluster is ended', later('REDIS_UNAVAILABLE', 'the connection was closed')],
  ['None of startup nodes is available', later('REDIS_UNAVAILABLE', 'no node of the Redis cluster answers')],
  [
    'All sentinels are unreachable',
    later(
      'REDIS_UNAVAILABLE',
      'no Sentinel names a reachable primary; check REDIS_SENTINELS and REDIS_SENTINEL_MASTER',
    ),
  ],
  [
    'Too many Cluster redirections',
    later('REDIS_CLUSTER_DOWN', 'the Redis cluster keeps redirecting; check its state'),
  ],
];

const LIBRARY_CLASSES: Readonly<Record<string, Meaning>> = {
  MaxRetriesPerRequestError: later('REDIS_UNAVAILABLE', 'the connection was lost'),
  ClusterAllFailedError: later('REDIS_UNAVAILABLE', 'no node of the Redis cluster answers'),
  AbortError: later('REDIS_UNAVAILABLE', 'the connection was lost'),
};

/** True when the library refused the command before it wrote a byte of it to a socket. */
export function isUnsent(error: unknown): boolean {
  return error instanceof Error && /^(Stream isn't writeable|Cluster isn't ready)/.test(error.message);
}

/** The protocol-level code of a Redis error reply (`WRONGTYPE`, `ERR` …), or undefined for anything else. */
export function replyWord(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined;
  return /^([A-Z][A-Z0-9_]*)(?: |$)/.exec(error.message)?.[1];
}

/**
 * Turns whatever a Redis call threw into a SuiteError whose code the caller can decide by. `doing` is the gerund with the
 * place: "writing a key at redis:6379". Neither keys nor values of the failed command get into the text.
 */
export function classifyRedisError(error: unknown, doing = 'talking to Redis'): SuiteError {
  if (error instanceof SuiteError) return error;
  const meaning = meaningOf(error);
  return new SuiteError(meaning.code, `${doing}: ${meaning.text}`, {
    cause: causeOf(error),
    retryable: meaning.retryable,
  });
}

function meaningOf(error: unknown): Meaning {
  const word = replyWord(error);
  if (word !== undefined) return REPLY_WORDS[word] ?? otherReply(word, errorText(error));
  if (!(error instanceof Error)) return never('REDIS_ERROR', 'failed for an unknown reason');
  const code = systemCode(error);
  if (code !== undefined)
    return later('REDIS_UNAVAILABLE', `${SYSTEM_CODES[code] ?? 'the connection failed'} (${code})`);
  const byText = LIBRARY_TEXTS.find(([start]) => error.message.startsWith(start));
  const byClass = LIBRARY_CLASSES[error.name];
  // A cluster wraps the reason why its last node failed: a wrong password there is a wrong password.
  const last =
    'lastNodeError' in error && error.lastNodeError instanceof Error
      ? meaningOf(error.lastNodeError)
      : undefined;
  return last ?? byText?.[1] ?? byClass ?? never('REDIS_ERROR', `failed (${error.name})`);
}

function otherReply(word: string, text: string): Meaning {
  // These come under the catch-all word ERR, so only their fixed beginnings tell them apart.
  if (text.startsWith('ERR max number of clients'))
    return later('REDIS_UNAVAILABLE', 'Redis has no free connection (maxclients)');
  if (/^ERR (DB index|invalid DB)/i.test(text))
    return never('DATA_INVALID', 'this Redis has no database of that number (setting databases)');
  if (/^ERR (invalid password|Client sent AUTH)/.test(text))
    return never('REDIS_AUTH', 'Redis refuses the password; check REDIS_PASSWORD');
  // Later versions say NOPERM for what a user may not do inside of a script, too.
  if (/^ERR (The user executing the script can't|ACL failure in script)/.test(text)) {
    return never('REDIS_DENIED', NO_PERMISSION);
  }
  if (text.startsWith('ERR This instance has cluster support disabled')) {
    return never('REDIS_ERROR', 'this Redis is no cluster; set REDIS_MODE to standalone');
  }
  const missing = /^ERR unknown (?:sub)?command/i.test(text)
    ? ' (this server does not have the command)'
    : '';
  return never('REDIS_ERROR', `Redis answered the error ${word}${missing}`);
}

function systemCode(error: Error): string | undefined {
  if (!('code' in error) || typeof error.code !== 'string') return undefined;
  const code = error.code;
  return code in SYSTEM_CODES || /^(E[A-Z]{3,}|CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_)/.test(code)
    ? code
    : undefined;
}

/** The library hangs the command's arguments on its errors: values must not travel with the cause into a log. */
function causeOf(error: unknown): Error {
  const cause = new Error(
    error instanceof Error && error.name !== 'ReplyError' ? error.message : (replyWord(error) ?? 'unknown'),
  );
  cause.name = error instanceof Error ? error.name : 'unknown';
  return cause;
}
