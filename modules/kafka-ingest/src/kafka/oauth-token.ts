import { SuiteError } from '@iotedge-redis/common';
import { postForm } from './post-form.ts';
import type { FormReply, Proxies } from './post-form.ts';

export interface OauthClient {
  readonly endpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope: string | undefined;
  readonly proxies: Proxies;
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
    const { endpoint, clientId, clientSecret, scope, proxies } = this.#client;
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scope !== undefined) form.set('scope', scope);
    const user = [clientId, clientSecret].map(encodeURIComponent).join(':');
    const headers = { authorization: `Basic ${Buffer.from(user).toString('base64')}` };
    let reply: FormReply;
    try {
      reply = await postForm(endpoint, form, headers, proxies, TIMEOUT_MS);
    } catch (cause) {
      throw failure('the endpoint does not answer; check KAFKA_OAUTH_TOKEN_ENDPOINT and HTTPS_PROXY', cause);
    }
    const { status, body } = reply;
    if (status < 200 || status > 299)
      throw failure(`the endpoint answered ${status}; check the client and its secret`);
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
