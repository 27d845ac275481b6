import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { json } from 'node:stream/consumers';

/** By which proxies http:// and https:// addresses are reached, in the form of the environment variables of these names. */
export interface Proxies {
  readonly HTTP_PROXY: string | undefined;
  readonly HTTPS_PROXY: string | undefined;
  readonly NO_PROXY: string | undefined;
}

export interface FormReply {
  readonly status: number;
  /** Undefined when it is no JSON. */
  readonly body: unknown;
}

/** Posts a form; rejects when there is no answer in time. Node's fetch has no proxies of its own. */
export async function postForm(
  address: string,
  form: URLSearchParams,
  headers: Readonly<Record<string, string>>,
  proxies: Proxies,
  timeoutMs: number,
): Promise<FormReply> {
  const isPlain = new URL(address).protocol === 'http:';
  const options = { proxyEnv: { ...proxies } };
  const agent = isPlain ? new HttpAgent(options) : new HttpsAgent(options);
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = isPlain ? httpRequest : httpsRequest;
      const head = { 'content-type': 'application/x-www-form-urlencoded', ...headers };
      const posted = send(address, { method: 'POST', agent, headers: head, signal }, resolve);
      posted.once('error', reject);
      posted.end(form.toString());
    });
    return { status: reply.statusCode ?? 0, body: await json(reply).catch(() => undefined) };
  } finally {
    agent.destroy();
  }
}
