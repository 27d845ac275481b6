import { holdsSecret, soundsSecret } from './secret-names.ts';

interface Reading {
  /** Whether a shell may read it, so that `$name` and `$(…)` stand for something else. */
  readonly shell: boolean;
  /** Names that only sound like that of a secret. */
  readonly open: ReadonlySet<string>;
}

/** Where a text holds a secret, and which; `end` is the position of its first character. */
export interface SecretText {
  readonly what: string;
  readonly end: number;
}

/** Each ends where the secret begins. */
const before: readonly (readonly [RegExp, string])[] = [
  [/\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=/gi, 'a key or signature of Azure'],
  [/[?&]sig=/gi, 'the signature of a SAS'],
  [/(?:^|[\s"'-])(?:requirepass|masterauth|tls-key-file-pass)["']?[\s=]+["']?/gi, 'a password of Redis'],
  [/\b(?:redis|valkey)-cli\b[^\n;|&]*?\s(?:-a|--pass|auth)\s+["']?/gi, 'a password of Redis'],
  [/(?:^|[\s-])user\s+\S+\s(?:[^\n]*\s)?>(?![/&>])/gi, 'the password of a Redis user'],
  [/\bmosquitto_(?:pub|sub|rr)\b[^\n;|&]*?\s-P\s+["']?/g, 'a password of MQTT'],
  [/\b[a-z][a-z\d+.-]*:\/\/[^\s/:@]*:(?=[^\s/@]+@)/gi, 'a password in an address'],
  [
    /\bauthorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|digest|token)\s+)?(?!(?:bearer|basic|digest|token)\b)/gi,
    'a login',
  ],
  [/\bbearer\s+(?=[\w.~+/-]{16})/gi, 'a token'],
  [/(?=-----BEGIN [A-Z ]*PRIVATE KEY-----)/g, 'a private key'],
];

/** NAME=VALUE of a variable or in a list, `--name=value` and `--name value` of a command, and "name": "value" of JSON. */
const named =
  /(?:(?:^|[\s;,&?("'`])(?:([\w.-]+)=|--?([a-z][\w.-]*)\s+)["']?|\\?"([\w.-]+)\\?"\s*:\s*(?:\\?")?)(?=([^\s"';,&`\\[\]{}]*))/gi;

/** The first secret in a text, by what is around it. */
export function secretIn(text: string, { shell, open }: Reading): SecretText | undefined {
  const isMade = (end: number): boolean =>
    text.startsWith('${', end) || (shell && /^["']?\$/.test(text.slice(end)));
  for (const [pattern, what] of before)
    for (const { 0: found, index } of text.matchAll(pattern)) {
      const end = index + found.length;
      if (/^[^\s"'&;]/.test(text.slice(end)) && !isMade(end)) return { what, end };
    }
  for (const { 0: found, 1: variable, 2: option, 3: key, 4: value = '', index } of text.matchAll(named)) {
    const name = (variable ?? option ?? key ?? '').replace(/^-+/, '');
    const end = index + found.length;
    if (!soundsSecret(name) || open.has(name) || isMade(end) || !holdsSecret(name, value)) continue;
    // An option after an option, and a shell's variable with the name of a file.
    if (option !== undefined && value.startsWith('-')) continue;
    if (shell && value.startsWith('/')) continue;
    return { what: `the value of ${name}`, end };
  }
  return undefined;
}
