import { parseSasToken, resourceOf, signedByOneOf } from '../hub/sas-token.ts';

/** The shared access policy that opens the service API. */
export interface Policy {
  readonly hostName: string;
  readonly name: string;
  /** Base64, as in the connection string. */
  readonly key: string;
}

export type Authorization = { readonly ok: true } | { readonly ok: false; readonly reason: string };

function refuse(reason: string): Authorization {
  return { ok: false, reason };
}

/** A resource of the host alone opens everything, a longer one (`host/devices`) the paths below it. */
function covers(resource: string, hostName: string, path: string): boolean {
  const slash = resource.indexOf('/');
  // Clients that reach the hub on another port carry it into their token.
  const host = (slash < 0 ? resource : resource.slice(0, slash)).replace(/:\d+$/, '');
  if (host.toLowerCase() !== hostName.toLowerCase()) return false;
  const scope = slash < 0 ? '' : resource.slice(slash).replace(/\/+$/, '').toLowerCase();
  const target = path.toLowerCase();
  return scope === '' || target === scope || target.startsWith(`${scope}/`);
}

/** Checks the `Authorization` header of a service request. The reason is for the log: clients are told "Unauthorized". */
export function authorize(
  header: string | undefined,
  policy: Policy,
  path: string,
  nowMs: number,
): Authorization {
  if (header === undefined) return refuse('no Authorization header');
  const token = parseSasToken(header);
  if (token === undefined)
    return refuse('the Authorization header is no complete SharedAccessSignature token');
  if (token.policy === null)
    return refuse('the token names no policy; keys of devices and modules open no service route');
  if (token.policy !== policy.name) return refuse(`the token's policy is not ${policy.name}`);
  if (!covers(resourceOf(token), policy.hostName, path))
    return refuse(`the token is not for ${policy.hostName}`);
  if (token.expiry * 1000 <= nowMs) return refuse('the token has expired');
  if (!signedByOneOf(token, [policy.key]))
    return refuse("the token's signature does not fit the policy's key");
  return { ok: true };
}
