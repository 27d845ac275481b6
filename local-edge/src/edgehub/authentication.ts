import type { HubCore } from '../hub/hub.ts';
import { parseSasToken, resourceOf, signedByOneOf } from '../hub/sas-token.ts';

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * Reads `host/D/M/?api-version=…` (also without the `?`). The host is not the identity. Undefined for what edgeHub's parser refuses;
 * the value of api-version is not checked, but it must be there.
 */
export function parseUsername(username: string): { deviceId: string; moduleId: string } | undefined {
  const segments = username.split('/');
  const last = segments.at(-1) ?? '';
  if (segments.length !== 3 && segments.length !== 4) return undefined;
  const query = last.startsWith('?') ? last.slice(1) : last;
  const version = query
    .split('&')
    .find((part) => part.startsWith('api-version='))
    ?.slice('api-version='.length);
  if (!version?.trim()) return undefined;
  const deviceId = segments[1]?.trim() ?? '';
  const moduleId = segments.length === 4 ? (segments[2]?.trim() ?? '') : '';
  return deviceId === '' ? undefined : { deviceId, moduleId };
}

/**
 * Checks a module's SAS token as edgeHub does: the audience's host is the IoT hub or the gateway, its ids are the module's, the
 * signature is by one of the module's keys, the expiry lies ahead.
 */
export function checkToken(hub: HubCore, moduleId: string, password: string): Verdict {
  const identity = hub.identities.get(moduleId);
  if (identity === undefined) return refuse(`there is no module "${moduleId}"`);
  const token = parseSasToken(password);
  if (token === undefined) return refuse('the password is no SAS token');
  const [host = '', ...ids] = resourceOf(token).split('/');
  const hosts = [hub.hostName, hub.gatewayHostName].map(withoutPort);
  if (!hosts.includes(withoutPort(host))) return refuse(`the token is for the host "${host}"`);
  if (ids.join('/') !== `devices/${hub.deviceId}/modules/${moduleId}`) {
    return refuse('the token is for another device or module');
  }
  if (!signedByOneOf(token, [identity.primaryKey, identity.secondaryKey])) {
    return refuse('the signature of the token is not by a key of the module');
  }
  if (token.expiry * 1000 <= hub.tokenNow()) return refuse('the token has expired');
  return { ok: true };
}

function withoutPort(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}

function refuse(reason: string): Verdict {
  return { ok: false, reason };
}
