import { SuiteError } from '../errors.ts';
import { LOG_LEVELS } from '../log.ts';
import type { Fields } from './settings.ts';
import { choice, integer, text } from './settings.ts';

/** What every module can be told; merged with the module's own fields. */
export const commonFields = {
  logLevel: choice({
    env: 'LOG_LEVEL',
    twin: 'logLevel',
    choices: LOG_LEVELS,
    aliases: { verbose: 'debug', trace: 'debug', information: 'info', warning: 'warn', critical: 'fatal' },
    default: 'info',
    live: true,
    description: 'Least severe lines that are logged; the spellings WARNING and CRITICAL are taken too.',
  }),
  httpPort: integer({
    env: 'HTTP_PORT',
    min: 0,
    max: 65_535,
    default: 9600,
    description:
      'Port of /metrics, /healthz, /readyz and, without IoT Edge, /methods; 0 takes any free port.',
  }),
  httpHost: text({
    env: 'HTTP_HOST',
    description: 'Address the HTTP server listens on; without it, all addresses of the container.',
  }),
  methodsToken: text({
    env: 'METHODS_TOKEN',
    secret: true,
    description:
      'Without IoT Edge: bearer token that callers of /methods must show. Without it only callers on the same host are answered.',
  }),
  stateDir: text({
    env: 'STATE_DIR',
    description:
      'Folder on a volume where the last accepted desired properties are kept, without secrets, and what else a module keeps over a restart.',
  }),
  instanceName: text({
    env: 'INSTANCE_NAME',
    pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    form: 'a name of letters, digits, _ . and -',
    description:
      'Without IoT Edge: name of this instance, in keys and client ids. Default: the name of the module.',
  }),
  stopDeadlineMs: integer({
    env: 'STOP_DEADLINE_MS',
    min: 100,
    max: 3_600_000,
    default: 8000,
    unit: 'ms',
    description:
      'Time to finish work when told to stop; shorter than the time after which the container is killed.',
  }),
};

export type CommonFields = typeof commonFields;

/** Fields of a module with the common ones; a name that both declare is a programming error. */
export function allFields(definition: { readonly name: string; readonly fields: Fields }): Fields {
  const fields: Fields = { ...commonFields, ...definition.fields };
  const taken = new Set<string>();
  const claim = (name: string): void => {
    if (taken.has(name)) {
      throw new SuiteError(
        'INTERNAL',
        `declaring the settings of ${definition.name}: ${name} is declared twice`,
      );
    }
    taken.add(name);
  };
  for (const name of [...Object.keys(commonFields), ...Object.keys(definition.fields)]) claim(name);
  for (const { env, twin } of Object.values(fields)) {
    for (const name of env) claim(`environment ${name}`);
    if (twin !== null) claim(`twin ${twin}`);
  }
  return fields;
}
