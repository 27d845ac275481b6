import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import type { Content, DeployedModule } from './content.ts';
import { error } from './content.ts';
import type { OwnModule } from './own-modules.ts';

/** Names whose value is a secret. The name of a file is none. */
const secretName =
  /(password|passwd|passphrase|secret|token|sas|credential|(account|shared|access|private|api|signature|symmetric|primary|secondary)_?key|connection_?string|requirepass|masterauth)s?$/i;
/** Texts that hold one, whatever they are called. A value that a shell makes (`$(…)`, `$name`) is none. */
const secretTexts: readonly (readonly [RegExp, string])[] = [
  [/\b(AccountKey|SharedAccessKey|SharedAccessSignature)=[^;&\s$]/i, 'a key or signature of Azure'],
  [/[?&]sig=[^&\s$]/i, 'the signature of a SAS'],
  [/(?:^|[\s"'-])(requirepass|masterauth|tls-key-file-pass)["']?[\s=]+["']?[^\s"'$]/i, 'a password of Redis'],
  [/(?:^|\s)user\s+\S+\s[^\n]*(?:^|\s)>[^\s$]/i, 'the password of a Redis user'],
  [/\b[a-z][a-z\d+.-]*:\/\/[^\s/:@]*:[^\s/@$]+@/i, 'a password in an address'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, 'a private key'],
];

/** RD-14, RD-15: what is in the manifest can be read by everybody who may read the deployment, and stays in its history. */
export function checkSecrets(
  content: Content,
  modules: readonly DeployedModule[],
  own: ReadonlyMap<string, OwnModule>,
): Finding[] {
  const findings: Finding[] = [];
  const found = (path: string, what: string): void =>
    void findings.push(
      error(path, `${what} is in clear text; give it by a file or the environment of the host.`),
    );
  const open = new Set([...own.values()].flatMap(({ fields }) => openNames(fields)));
  walk(content, '$.modulesContent', { found, open });
  for (const module of modules) {
    if (module.options !== null)
      walk(module.options, `${module.place}.settings.createOptions`, { found, open });
    const fields = own.get(module.name)?.fields ?? {};
    const names = Object.values(fields).flatMap(({ secret, env, twin }) =>
      secret ? [...env, ...(twin === null ? [] : [twin])] : [],
    );
    const twin = content[module.name]?.['properties.desired'];
    for (const [name, value] of Object.entries(isRecord(twin) ? twin : {}))
      if (names.includes(name) && value !== null && value !== '' && !secretName.test(name))
        found(`$.modulesContent.${module.name}['properties.desired'].${name}`, `the secret ${name}`);
  }
  return findings;
}

/** Names that only sound like a secret: a module's declaration knows better. */
function openNames(fields: OwnModule['fields']): string[] {
  return Object.values(fields).flatMap(({ secret, env, twin }) =>
    secret ? [] : [...env, ...(twin === null ? [] : [twin])],
  );
}

interface Walk {
  readonly found: (path: string, what: string) => void;
  readonly open: ReadonlySet<string>;
}

function walk(value: unknown, path: string, how: Walk): void {
  const { found, open } = how;
  const isSecret = (name: string): boolean => secretName.test(name) && !open.has(name);
  if (Array.isArray(value)) {
    for (const [index, one] of value.entries()) walk(one, `${path}[${index}]`, how);
  } else if (isRecord(value)) {
    // IoT Edge knows no other place for the login of a registry.
    const entries = Object.entries(value).filter(([key]) => key !== 'registryCredentials');
    for (const [key, one] of entries) {
      const at = `${path}${/^[\w$-]+$/.test(key) ? `.${key}` : `['${key}']`}`;
      // The text of createOptions is looked at as the object that it holds.
      if (/^createOptions\d*$/i.test(key)) continue;
      const text = isRecord(one) && Object.keys(one).join() === 'value' ? one['value'] : one;
      if (isSecret(key) && typeof text === 'string' && text !== '') found(at, `the value of ${key}`);
      else walk(one, at, how);
    }
  } else if (typeof value === 'string') {
    const line = /^(\w+)=(.+)$/s.exec(value);
    if (line !== null && isSecret(line[1] ?? '')) found(path, `the value of ${line[1] ?? ''}`);
    else
      for (const [pattern, what] of secretTexts)
        if (pattern.test(value)) {
          found(path, what);
          break;
        }
  }
}
