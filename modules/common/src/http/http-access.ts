import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface Caller {
  readonly address: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Whether somebody may call the module's methods. With a token: whoever shows it. Without: callers on this host only, and no
 * web pages that a browser on this host happens to show (they carry an Origin, or reach us under a name that is not this
 * host's).
 */
export function judge(
  { address, headers }: Caller,
  token: string | undefined,
): 'allowed' | 'without token' | 'not local' {
  if (token !== undefined) {
    const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    return given !== undefined && timingSafeEqual(digest(given), digest(token)) ? 'allowed' : 'without token';
  }
  const isLocal = isLoopback(address) && headers.origin === undefined && isLocalName(headers.host ?? '');
  return isLocal ? 'allowed' : 'not local';
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::ffff:)?127\.|^::1$/.test(address);
}

function isLocalName(host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return name === 'localhost' || name === '[::1]' || /^127(\.\d+){3}$/.test(name);
}
