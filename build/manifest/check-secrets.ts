import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { memberPath } from '../../local-edge/src/manifest/finding.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import type { Content, DeployedModule } from './content.ts';
import { envPlace, environmentOf, error, twinPlace } from './content.ts';
import type { OwnModule } from './own-modules.ts';
import { holdsSecret, soundsSecret } from './secret-names.ts';
import { secretIn } from './secret-texts.ts';

/** IoT Edge knows no other place for the login of a registry, alone or in a layered deployment. */
const logins =
  /^\$\.modulesContent\.\$edgeAgent\['properties\.desired('\]|)\.runtime\.settings\.registryCredentials/;

const CLEAR = 'is in clear text';

/** RD-14, RD-15: what is in the manifest can be read by everybody who may read the deployment, and stays in its history. */
export function checkSecrets(
  content: Content,
  modules: readonly DeployedModule[],
  own: ReadonlyMap<string, OwnModule>,
): Finding[] {
  const findings: Finding[] = [];
  const found = (path: string, what: string): void =>
    void findings.push(error(path, `${what} ${CLEAR}; give it by a file or the environment of the host.`));
  const open = new Set([...own.values()].flatMap(({ fields }) => openNames(fields)));
  walk(content, '$.modulesContent', { found, open, shell: false });
  for (const module of modules) {
    if (module.options !== null)
      walk(module.options, `${module.place}.settings.createOptions`, { found, open, shell: false });
    findings.push(...checkRules(module));
    const fields = own.get(module.name)?.fields ?? {};
    const names = Object.values(fields).flatMap(({ secret, env, twin }) =>
      secret ? [...env, ...(twin === null ? [] : [twin])] : [],
    );
    const twin = content[module.name]?.['properties.desired'];
    for (const [name, value] of Object.entries(isRecord(twin) ? twin : {}))
      if (names.includes(name) && value !== null && value !== '' && !soundsSecret(name))
        found(twinPlace(module.name, name), `the secret ${name}`);
  }
  return findings;
}

/** Without the variables of a text that is a secret: what stands there for one may be a part of it. */
export function withoutSecrets(findings: readonly Finding[]): Finding[] {
  const secrets = findings.filter(({ problem }) => problem.includes(CLEAR)).map(({ path }) => path);
  return findings.filter(
    ({ path, severity }) => severity === 'error' || !secrets.some((secret) => secret.startsWith(path)),
  );
}

/** The lists of commands that the Redis of the templates makes its users of: it gives each its password itself. */
function checkRules(module: DeployedModule): Finding[] {
  return Object.entries(environmentOf(module)).flatMap(([name, rules]) =>
    name.startsWith('ACL_') && /(?:^|\s)(?:[>#]|nopass(?:\s|$))/i.test(rules)
      ? [
          error(
            envPlace(module, name),
            'it must hold no password (>, #) and no nopass: Redis makes the password of each user at its start.',
          ),
        ]
      : [],
  );
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
  /** Whether the texts are words of a command. */
  readonly shell: boolean;
}

function walk(value: unknown, path: string, how: Walk): void {
  const { found, open } = how;
  if (Array.isArray(value)) {
    walkList(value, path, how);
  } else if (isRecord(value)) {
    for (const [key, one] of Object.entries(value)) {
      const at = memberPath(path, key);
      // The text of createOptions is looked at as the object that it holds.
      if (/^createOptions\d*$/i.test(key) || logins.test(at)) continue;
      if (soundsSecret(key) && !open.has(key) && holdsSecret(key, one)) found(at, `the value of ${key}`);
      else walk(one, at, { ...how, shell: how.shell || /^(?:Cmd|Entrypoint|Test|Shell)$/.test(key) });
    }
  } else if (typeof value === 'string') {
    const secret = secretIn(value, how);
    if (secret !== undefined) found(path, secret.what);
  }
}

/** A command has an option and its value in two words, which say it only together. */
function walkList(list: readonly unknown[], path: string, how: Walk): void {
  const inWords: (readonly [path: string, what: string])[] = [];
  const found = (at: string, what: string): void => void inWords.push([at, what]);
  for (const [index, one] of list.entries()) walk(one, `${path}[${index}]`, { ...how, found });
  for (const [at, what] of inWords) how.found(at, what);
  if (inWords.length > 0 || !how.shell) return;
  const words = list.map((one) => (typeof one === 'string' || typeof one === 'number' ? String(one) : ''));
  const secret = secretIn(words.join(' '), how);
  if (secret === undefined) return;
  let at = 0;
  const index = words.findIndex((word) => (at += word.length + 1) > secret.end);
  how.found(`${path}[${index}]`, secret.what);
}
