import { stringify } from 'yaml';
import type { Fields } from '@iotedge-redis/common';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Values = Readonly<Record<string, string>>;
type Tree = Readonly<Record<string, Json | undefined>>;

/** What compose needs to know of a module that is built from here. */
export interface ComposeModule {
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly settings: Fields;
}

export interface ComposeInput {
  /** The deployment template, parsed, its variables not filled in. */
  readonly template: Json;
  /** The variables of .env.template: what each is when a user sets nothing. */
  readonly defaults: Values;
  readonly modules: readonly ComposeModule[];
}

/** Ports of the containers that a developer wants to reach; they are bound on loopback only. */
const published: Readonly<Record<string, string>> = {
  mosquitto: '127.0.0.1:${MOSQUITTO_PORT:-1883}:1883',
};

/**
 * The modules of a deployment template as services of Docker Compose: the same images, commands, users, limits, volumes and health
 * checks. Where a module has its Redis from its twin, it gets it by the variables REDIS_HOST and REDIS_PORT.
 */
export function compose({ template, defaults, modules }: ComposeInput): string {
  const content = tree(tree(template)['modulesContent']);
  const desired = tree(tree(content['$edgeAgent'])['properties.desired']);
  const volumes: Record<string, Json> = {};
  const services = Object.entries(tree(desired['modules'])).map(([name, module]): [string, Json] => [
    name,
    service(name, tree(module), tree(tree(content[name])['properties.desired']), {
      defaults,
      modules,
      volumes,
    }),
  ]);
  const document = { name: 'iotedge-redis', services: Object.fromEntries(services), volumes };
  const text = stringify(document, {
    aliasDuplicateObjects: false,
    lineWidth: 0,
    defaultStringType: 'PLAIN',
  });
  return header(services.map(([name]) => name)) + text;
}

function header(names: readonly string[]): string {
  const example = ['stream-to-mqtt redis mosquitto', '--scale kafka-ingest=3 kafka-ingest redis'].filter(
    (words) => names.includes(words.startsWith('--') ? 'kafka-ingest' : 'stream-to-mqtt'),
  );
  return [
    '# The suite under Docker without IoT Edge. Written by `npm run compose` from deployment.template.json: change it there.',
    '# Every setting of docs/settings.md that stands in deploy/.env (see deploy/env.template) reaches the modules.',
    ...example.map((words) => `#   docker compose -f deploy/compose.yaml up ${words}`),
    '',
  ].join('\n');
}

interface Context {
  readonly defaults: Values;
  readonly modules: readonly ComposeModule[];
  /** Named volumes, filled on the way. */
  readonly volumes: Record<string, Json>;
}

function service(name: string, module: Tree, twin: Tree, context: Context): Json {
  const { defaults } = context;
  const settings = tree(module['settings']);
  const options = tree(settings['createOptions']);
  const host = tree(options['HostConfig']);
  const own = context.modules.find((one) => one.name === name);
  const environment = {
    ...Object.fromEntries(
      Object.entries(tree(module['env'])).map(([key, entry]) => [
        key,
        fill(text(tree(entry)['value']), defaults),
      ]),
    ),
    ...Object.fromEntries(
      list(options['Env']).map((word) => [
        word.slice(0, word.indexOf('=')),
        fill(word.slice(word.indexOf('=') + 1), defaults),
      ]),
    ),
    ...(own === undefined ? {} : fromTwin(own, twin, defaults)),
  };
  const ports = own === undefined ? published[name] : '127.0.0.1::9600';
  return compact({
    image:
      own === undefined
        ? fill(text(settings['image']), defaults)
        : `\${CONTAINER_REGISTRY_SERVER:-localhost:5000}/${own.title}:${own.version}-\${DEFAULT_PLATFORM:-amd64}`,
    build:
      own === undefined
        ? undefined
        : { context: '..', dockerfile: `modules/${name}/Dockerfile.\${DEFAULT_PLATFORM:-amd64}` },
    command:
      options['Cmd'] === undefined ? undefined : list(options['Cmd']).map((word) => fill(word, defaults)),
    env_file: own === undefined ? undefined : [{ path: '.env', required: false }],
    environment: Object.keys(environment).length === 0 ? undefined : overridable(environment, own),
    user: options['User'],
    working_dir: options['WorkingDir'],
    restart: 'unless-stopped',
    read_only: host['ReadonlyRootfs'],
    cap_drop: host['CapDrop'],
    security_opt: list(host['SecurityOpt']).map((one) => (one === 'no-new-privileges' ? `${one}:true` : one)),
    mem_limit: host['Memory'],
    tmpfs: Object.entries(tree(host['Tmpfs'])).map(([path, how]) => `${path}:${text(how)}`),
    ports: ports === undefined ? undefined : [ports],
    volumes: volumesOf(host, context),
    healthcheck: healthcheck(tree(options['Healthcheck']), defaults),
    logging: { driver: 'json-file', options: tree(tree(host['LogConfig'])['Config']) as Json },
  });
}

/** What .env says wins over the template, for the settings of a module; those for a Redis of this file may also be emptied. */
function overridable(environment: Values, own: ComposeModule | undefined): Values {
  if (own === undefined) return environment;
  const forOurRedis = /^REDIS_(USERNAME|PASSWORD_FILE|CA_FILE)$/;
  return Object.fromEntries(
    Object.entries(environment).map(([key, value]) => [
      key,
      // NODE_OPTIONS of the user's shell are not meant for the containers.
      key === 'NODE_OPTIONS' || value.includes('${')
        ? value
        : `\${${key}${forOurRedis.test(key) ? '' : ':'}-${value}}`,
    ]),
  );
}

/** Desired properties as variables; one that has none is a mistake in the template, since nothing would set it here. */
function fromTwin(module: ComposeModule, twin: Tree, defaults: Values): Values {
  return Object.assign(
    {},
    ...Object.entries(twin).map(([key, value]): Values => {
      if (key === 'endpoint') {
        const [host = 'redis', port = '6379'] = fillHere(text(value), defaults).split(':');
        return { REDIS_HOST: host, REDIS_PORT: port };
      }
      const field = Object.values(module.settings).find((one) => one.twin === key);
      const variable = field?.env[0];
      if (variable === undefined)
        throw new Error(`${module.name}: the desired property ${key} has no variable that could say it here`);
      return { [variable]: typeof value === 'string' ? fill(value, defaults) : JSON.stringify(value) };
    }),
  ) as Values;
}

function volumesOf(host: Tree, { defaults, volumes }: Context): string[] {
  const binds = list(host['Binds']).map((bind) => {
    const source = fillHere(bind.slice(0, bind.indexOf(':')), defaults);
    if (!source.startsWith('/')) volumes[source] ??= {};
    return fill(bind, defaults);
  });
  const mounts = (host['Mounts'] as readonly Json[] | undefined) ?? [];
  return [
    ...binds,
    ...mounts.map(tree).map((mount) => {
      const source = text(mount['Source']);
      const driver = tree(tree(mount['VolumeOptions'])['DriverConfig']);
      const options = driver['Options'];
      volumes[source] = options === undefined ? {} : { driver: text(driver['Name']), driver_opts: options };
      return `${source}:${text(mount['Target'])}${mount['ReadOnly'] === true ? ':ro' : ''}`;
    }),
  ];
}

function healthcheck(check: Tree, defaults: Values): Json | undefined {
  if (check['Test'] === undefined) return undefined;
  const seconds = (value: Json | undefined): string | undefined =>
    typeof value === 'number' ? `${value / 1e9}s` : undefined;
  return compact({
    test: list(check['Test']).map((word) => fill(word, defaults)),
    interval: seconds(check['Interval']),
    timeout: seconds(check['Timeout']),
    start_period: seconds(check['StartPeriod']),
    retries: check['Retries'],
  });
}

const VARIABLE = /\$\{([A-Z][A-Z0-9_]*)\}/g;

/** For compose: variables of .env.template with their defaults, any other $ as itself. */
function fill(value: string, defaults: Values): string {
  let rest = 0;
  let result = '';
  for (const match of value.matchAll(VARIABLE)) {
    const [whole, name = ''] = match;
    if (!Object.hasOwn(defaults, name)) continue;
    result += `${value.slice(rest, match.index).replaceAll('$', '$$$$')}\${${name}:-${defaults[name] ?? ''}}`;
    rest = match.index + whole.length;
  }
  return result + value.slice(rest).replaceAll('$', '$$$$');
}

function fillHere(value: string, defaults: Values): string {
  return value.replaceAll(VARIABLE, (whole, name: string) => defaults[name] ?? whole);
}

function compact(value: Tree): Json {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]): [string, Json][] =>
      one === undefined || (Array.isArray(one) && one.length === 0) ? [] : [[key, one]],
    ),
  );
}

function tree(value: Json | undefined): Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Tree) : {};
}

function list(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function text(value: Json | undefined): string {
  return typeof value === 'object' || value === undefined ? '' : String(value);
}
