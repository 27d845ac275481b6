const SECRET_NAME =
  /pass(word|wd|phrase)?$|secret|token|^sas|sas(url|uri|key)?$|^sig$|signature|(access|private|primary|secondary|account|signing)[-_]?key|key[-_]?material|connection[-_]?string|^authorization$|credential/i;

/** What stands in the place of a secret. */
export const REDACTED = '***';

/** True for a field whose name says that its value is a secret. A Redis key, called `key`, is not one. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/**
 * Credentials in an address end at its last @, since people do not percent-encode what is in a password. In web addresses
 * they end before the path, which may have an @ of its own.
 */
const USERINFO = /\b(https?:\/\/)[^\s/?#]*@|\b((?!https?:)[a-z][a-z0-9+.-]{0,30}:\/\/)(?:(?!:\/\/)\S)*@/gi;

/** The text with other words, or none, in the place of user and password in addresses. */
export function replaceUserinfo(text: string, replacement: string): string {
  return text.replace(
    USERINFO,
    (_, web: string | undefined, other: string | undefined) => `${web ?? other ?? ''}${replacement}`,
  );
}

/** Takes out what is secret by its shape: userinfo of a URL, the signature of a SAS, keys in connection strings, bearer tokens. */
export function redactText(text: string): string {
  return replaceUserinfo(text, `${REDACTED}@`)
    .replace(
      /\b(sig|sharedaccesskey|accountkey|sharedaccesssignature|password)=[^&;\s"']+/gi,
      `$1=${REDACTED}`,
    )
    .replace(/\b(bearer )[\w.~+/-]+=*/gi, `$1${REDACTED}`);
}
