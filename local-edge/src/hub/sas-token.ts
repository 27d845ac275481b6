import { createHmac, timingSafeEqual } from 'node:crypto';

/** The fields of `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]`, in any order. */
export interface SasToken {
  /** As it stands in the token: this text is what was signed. */
  readonly rawResource: string;
  readonly signature: string;
  /** Unix seconds. */
  readonly expiry: number;
  readonly rawExpiry: string;
  readonly policy: string | null;
}

const scheme = 'SharedAccessSignature ';

/** Undefined when the text is no complete SAS token. */
export function parseSasToken(text: string): SasToken | undefined {
  if (!text.startsWith(scheme)) return undefined;
  const fields = new Map<string, string>();
  for (const part of text.slice(scheme.length).split('&')) {
    const at = part.indexOf('=');
    if (at > 0) fields.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  const rawResource = fields.get('sr');
  const rawSignature = fields.get('sig');
  const rawExpiry = fields.get('se');
  if (!rawResource || !rawSignature || !rawExpiry || !/^\d+$/.test(rawExpiry)) return undefined;
  const signature = decode(rawSignature);
  if (signature === undefined) return undefined;
  const policy = fields.get('skn');
  return {
    rawResource,
    signature,
    expiry: Number(rawExpiry),
    rawExpiry,
    policy: policy ? (decode(policy) ?? null) : null,
  };
}

/** The resource for comparison, without its percent encoding. */
export function resourceOf(token: SasToken): string {
  return decode(token.rawResource) ?? token.rawResource;
}

/** `HMAC-SHA256(key, text)` in base64; `key` is base64 as in connection strings. */
export function sign(key: string, text: string | Buffer): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
}

/** True when one of the keys signed `<sr as it stands> LF <se>`. */
export function signedByOneOf(token: SasToken, keys: readonly string[]): boolean {
  const given = Buffer.from(token.signature, 'base64');
  return keys.some((key) => {
    const expected = Buffer.from(sign(key, `${token.rawResource}\n${token.rawExpiry}`), 'base64');
    return expected.length === given.length && timingSafeEqual(expected, given);
  });
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
