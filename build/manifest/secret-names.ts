import { isRecord } from '../../local-edge/src/manifest/record.ts';

/** What a name may end with and still be that of the same secret. */
const suffix = String.raw`s?(?:[_.-]?(?:old|new|previous|current|backup|\d+))*$`;
/** Secrets that a person thinks of: a number may be one. */
const chosen = new RegExp(
  `(?:password|passwd|passphrase|secret|requirepass|masterauth|(?:^|[_.-])(?:pass|pwd))${suffix}`,
  'i',
);
const made = new RegExp(
  `(?:token|credential|authorization|(?:account|shared|access|private|api|signature|symmetric|primary|secondary)_?key|connection_?string|(?:^|[_.-])(?:auth|sas))${suffix}`,
  'i',
);
/** The short words, in camelCase. */
const camelChosen = new RegExp(`[a-z](?:Pass|Pwd)${suffix}`);
const camelMade = new RegExp(`[a-z](?:Auth|Sas)${suffix}`);
/** A switch, such as ALLOW_EMPTY_PASSWORD=yes, or the name of a way to log in. */
const switches = /^(?:true|false|yes|no|on|off|none|null|basic|bearer|digest|plain)$/i;
/** Parts of an object that are beside a secret and not the secret. */
const beside = /^(?:comment|description|type|kind|name|user(?:name)?|url|endpoint|path|folder|\w*file)$/i;

/** Whether a value of this name is a secret by the sound of it. The name of a file is none, and no path is a name. */
export function soundsSecret(name: string): boolean {
  return /^[\w.-]+$/.test(name) && (isChosen(name) || made.test(name) || camelMade.test(name));
}

/** Whether there is a secret in what such a name stands for: a text, a number, or anything in a list or an object. */
export function holdsSecret(name: string, value: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => holdsSecret(name, one));
  if (isRecord(value))
    return Object.entries(value).some(([key, one]) => !beside.test(key) && holdsSecret(name, one));
  // maxTokens: 5
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value))) return isChosen(name);
  return typeof value === 'string' && value !== '' && !switches.test(value);
}

function isChosen(name: string): boolean {
  return chosen.test(name) || camelChosen.test(name);
}
