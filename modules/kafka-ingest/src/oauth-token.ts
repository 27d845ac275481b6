import { SuiteError } from '@iotedge-redis/common';

export interface OauthClient {
  readonly endpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope: string | undefined;
}

const TIMEOUT_MS = 10_000;
/** A token is asked for again so long before it ends. */
const EARLY_MS = 30_000;

/** Tokens by client credentials (RFC 6749 §4.4), kept until shortly before they end. */
export class OauthTokens {
  readonly #client: OauthClient;
  readonly #now: () => number;
  #kept: { readonly value: string; readonly until: number } | undefined;

  constructor(client: OauthClient, now: () => number) {
    this.#client = client;
    this.#now = now;
  }

  async token(): Promise<{ value: string }> {
    if (this.#kept === undefined || this.#now() >= this.#kept.until) this.#kept = await this.#fetch();
    return { value: this.#kept.value };
  }

  async #fetch(): Promise<{ value: string; until: number }> {
    const { endpoint, clientId, clientSecret, scope } = this.#client;
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scope !== undefined) form.set('scope', scope);
    const user = [clientId, clientSecret].map(encodeURIComponent).join(':');
    let reply: Response;
    try {
      reply = await fetch(endpoint, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(user).toString('base64')}` },
        body: form,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (cause) {
      throw failure('the endpoint does not answer; check KAFKA_OAUTH_TOKEN_ENDPOINT', cause);
    }
    const body: unknown = await reply.json().catch(() => undefined);
    if (!reply.ok) throw failure(`the endpoint answered ${reply.status}; check the client and its secret`);
    const value: unknown =
      typeof body === 'object' && body !== null ? Reflect.get(body, 'access_token') : undefined;
    const seconds: unknown =
      typeof body === 'object' && body !== null ? Reflect.get(body, 'expires_in') : undefined;
    if (typeof value !== 'string' || value === '') throw failure('the answer holds no access_token');
    const lifeMs = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : EARLY_MS;
    return { value, until: this.#now() + Math.max(0, lifeMs - EARLY_MS) };
  }
}

function failure(text: string, cause?: unknown): SuiteError {
  return new SuiteError('KAFKA_REFUSED', `getting a token for Kafka: ${text}`, { cause, retryable: true });
}
