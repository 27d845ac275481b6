import { delimiter } from 'node:path';
import { EdgeError } from '../errors.ts';
import { cacheFolder } from './cache.ts';
import { services } from './catalogue.ts';
import type { ServiceDescription, ServiceName } from './catalogue.ts';
import { lastLine, runCommand } from './command.ts';
import { isDebian, unpackPackages } from './debian-packages.ts';
import { dockerPrograms, dockerRuns } from './docker.ts';
import { findExecutable } from './find-executable.ts';
import { unpackWheel, wheelFits } from './wheel.ts';

/** A server program on this machine, and what to put into its environment. */
export interface FoundProgram {
  readonly kind: 'path' | 'distribution' | 'docker' | 'wheel';
  readonly service: ServiceName;
  /** Name of the program that was found: `redis-server`, `valkey-server`, `mosquitto`. */
  readonly program: string;
  readonly command: string;
  /** Arguments that go before those of the caller. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Folders with the programs that belong to it (the client, for one). */
  readonly folders: readonly string[];
  readonly version: string;
}

/** A server that somebody else runs; its address came from the environment. */
export interface FoundAddress {
  readonly kind: 'address';
  readonly service: ServiceName;
  readonly host: string;
  readonly port: number;
  readonly variable: string;
}

/** What the message about a bad address names. */
export type ServiceAddress = Pick<ServiceDescription, 'addressVariable' | 'standardPort'> & {
  readonly name: string;
};

export type FoundServer = FoundProgram | FoundAddress;

export interface FindOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Told what is about to be fetched, before it is. Standard error by default. */
  readonly say?: (line: string) => void;
  /** The ways to look, all by default. */
  readonly ways?: readonly FoundProgram['kind'][];
}

/** Finds a server: an address in the environment first, then a program as `findProgram` does. */
export async function findServer(name: ServiceName, options: FindOptions = {}): Promise<FoundServer> {
  const service = services[name];
  const address = (options.env ?? process.env)[service.addressVariable];
  if (address === undefined || address === '') return findProgram(name, options);
  return {
    kind: 'address',
    service: name,
    variable: service.addressVariable,
    ...readAddress(service, address),
  };
}

/**
 * Finds a server program: on PATH, in the distribution's packages, in Docker, in a wheel. Throws SERVICE_MISSING with the
 * choices when there is none.
 */
export async function findProgram(name: ServiceName, options: FindOptions = {}): Promise<FoundProgram> {
  const env = options.env ?? process.env;
  const say = options.say ?? ((line: string) => process.stderr.write(`${name}: ${line}\n`));
  const service = services[name];
  const cache = cacheFolder(env);
  const failures: string[] = [];
  const attempt = async (
    kind: FoundProgram['kind'],
    look: () => Promise<Pick<FoundProgram, 'folders' | 'env'> | null>,
  ): Promise<FoundProgram | null> => {
    if (options.ways?.includes(kind) === false) return null;
    try {
      const place = await look();
      return place === null ? null : await checked(kind, service, place, env);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      return null;
    }
  };
  const path = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const found =
    (await attempt('path', () =>
      Promise.resolve({ folders: [...path, '/usr/sbin', '/usr/local/sbin'], env: {} }),
    )) ??
    (await attempt('distribution', async () =>
      (await isDebian()) ? unpackPackages(service, cache, say) : null,
    )) ??
    (await attempt('docker', async () =>
      (await dockerRuns(env)) ? { folders: [await dockerPrograms(service, cache, env, say)], env: {} } : null,
    )) ??
    (await attempt('wheel', async () =>
      (await wheelFits(service, env))
        ? { folders: [await unpackWheel(service, cache, env, say)], env: {} }
        : null,
    ));
  if (found === null) throw new EdgeError('SERVICE_MISSING', missing(service, failures));
  return found;
}

async function checked(
  kind: FoundProgram['kind'],
  service: ServiceDescription,
  place: Pick<FoundProgram, 'folders' | 'env'>,
  env: NodeJS.ProcessEnv,
): Promise<FoundProgram | null> {
  const executable = await findExecutable(service.programs, place.folders);
  if (executable === null) return null;
  const option = executable.name === 'mosquitto' ? '-h' : '--version';
  const result = await runCommand(executable.path, [option], {
    env: { ...env, ...place.env },
    timeoutMs: 60_000,
  });
  const version = /\d+\.\d+\.\d+/.exec(result.stdout)?.[0];
  if (version === undefined) {
    throw new EdgeError('SERVICE_MISSING', `${executable.path} does not run: ${lastLine(result)}`);
  }
  return {
    kind,
    service: service.name,
    program: executable.name,
    command: executable.path,
    args: [],
    env: place.env,
    folders: place.folders,
    version,
  };
}

/** Reads the value of a variable such as EDGE_REDIS_ADDRESS. Throws INVALID_INPUT. */
export function readAddress(service: ServiceAddress, text: string): { host: string; port: number } {
  const match = /^(127(?:\.\d{1,3}){3}|localhost|\[::1\]):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65535) {
    throw new EdgeError(
      'INVALID_INPUT',
      `${service.addressVariable} must be the address of a ${service.name} on this machine, as in 127.0.0.1:${service.standardPort}. Unset it to have one started.`,
    );
  }
  return { host: (match[1] ?? '').replace(/[[\]]/g, ''), port };
}

function missing(service: ServiceDescription, failures: readonly string[]): string {
  const choices = [
    `set ${service.addressVariable}=127.0.0.1:PORT to use one that runs`,
    `put ${service.programs.join(' or ')} on PATH (Debian, Ubuntu: apt-get install ${service.debianPackages[0] ?? ''}; macOS: brew install ${service.name})`,
    'start Docker',
    ...(service.wheel === null ? [] : ['on Linux x64, have Python 3.11 or newer with pip']),
  ];
  const tried = failures.length === 0 ? '' : ` Tried without success: ${failures.join('; ')}.`;
  return `No ${service.name} server was found.${tried} Choose one: ${choices.join('; ')}.`;
}
