const SECRET_NAME =
  /pass(word|wd|phrase)?$|secret|token|^sas|sas(url|uri|key)?$|^sig$|signature|(access|private|primary|secondary|account|signing)[-_]?key|key[-_]?material|connection[-_]?string|^authorization$|credential/i;

/** What stands in the place of a secret. */
export const REDACTED = '***';

/** True for a field whose name says that its value is a secret. A Redis key, called `key`, is not one. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/** Takes out what is secret by its shape: userinfo of a URL, the signature of a SAS, keys in connection strings. */
export function redactText(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@?#"']+@/gi, `$1${REDACTED}@`)
    .replace(
      /\b(sig|sharedaccesskey|accountkey|sharedaccesssignature|password)=[^&;\s"']+/gi,
      `$1=${REDACTED}`,
    );
}
