import { errorText, SuiteError } from '@iotedge-redis/common';

/** System error codes of sockets, name look-ups and TLS. */
const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; check that Kafka runs and the port is right',
  ENOTFOUND: 'the host name is not known; check KAFKA_BROKER and the advertised listeners of the brokers',
  EAI_AGAIN: 'the host name cannot be looked up now; check DNS',
  ETIMEDOUT: 'the connection attempt took too long; check the address and firewalls',
  ERR_TLS_CERT_ALTNAME_INVALID:
    "the broker's certificate is for another name; set KAFKA_TLS_SERVER_NAME or fix the certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "the broker's certificate is not trusted; set KAFKA_CA_FILE",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the broker's certificate is not trusted; set KAFKA_CA_FILE",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the broker's certificate is not trusted; set KAFKA_CA_FILE",
};

/** Errors that the broker names by a code of the protocol. */
const TYPES: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: 'this user may not read the topic; check the ACLs of Kafka',
  GROUP_AUTHORIZATION_FAILED: 'this user may not use the group; check the ACLs of Kafka',
  CLUSTER_AUTHORIZATION_FAILED: 'this user may not describe the cluster; check the ACLs of Kafka',
  UNKNOWN_TOPIC_OR_PARTITION: 'a topic does not exist; create it, or correct KAFKA_TOPIC',
  GROUP_LOAD_IN_PROGRESS: 'the broker has just started and still loads the groups; it is tried again',
  GROUP_COORDINATOR_NOT_AVAILABLE: 'no broker takes care of the group yet; it is tried again',
  INVALID_SESSION_TIMEOUT: 'the broker does not take this KAFKA_SESSION_TIMEOUT_MS',
  INCONSISTENT_GROUP_PROTOCOL: 'other members of the group are not of this kind; set another KAFKA_GROUP',
};

/** What the client library threw, as an error of the suite. */
export function kafkaError(error: unknown, doing: string): SuiteError {
  if (error instanceof SuiteError) return error;
  const root = rootOf(error);
  const name = root instanceof Error ? root.name : '';
  const code = textOf(root, 'code');
  const type = textOf(root, 'type');
  if (name.includes('SASL'))
    return refused(doing, 'Kafka refuses the login; check KAFKA_SASL_MECHANISM, user and password', error);
  const hint = (type === undefined ? undefined : TYPES[type]) ?? hintIn(root, code);
  if (type?.includes('AUTHORIZATION') === true) return refused(doing, hint ?? type, error);
  const text = hint ?? type ?? errorText(root).slice(0, 200);
  return new SuiteError('KAFKA_UNAVAILABLE', `${doing}: ${text}${code === undefined ? '' : ` (${code})`}`, {
    retryable: true,
    cause: error,
  });
}

/** The library puts the code of a system error into its text only. */
function hintIn(root: unknown, code: string | undefined): string | undefined {
  if (code !== undefined && code in HINTS) return HINTS[code];
  const text = errorText(root);
  const found = Object.keys(HINTS).find((each) => text.includes(each));
  if (found !== undefined) return `${HINTS[found] ?? ''} (${found})`;
  if (/self.signed certificate|unable to verify/i.test(text)) return HINTS['SELF_SIGNED_CERT_IN_CHAIN'];
  return text.includes('Hostname/IP does not match') ? HINTS['ERR_TLS_CERT_ALTNAME_INVALID'] : undefined;
}

function refused(doing: string, text: string, cause: unknown): SuiteError {
  return new SuiteError('KAFKA_REFUSED', `${doing}: ${text}`, { cause, retryable: true });
}

/** The library wraps a failure once per retry. */
function rootOf(error: unknown): unknown {
  let root = error;
  for (let depth = 0; depth < 10 && root instanceof Error && root.cause instanceof Error; depth += 1)
    root = root.cause;
  return root;
}

function textOf(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? value : undefined;
}
