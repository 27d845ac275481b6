import { EdgeError } from '../errors.ts';
import { cacheFolder } from './cache.ts';
import { readAddress } from './find-server.ts';
import { findJava, unpackJava } from './java.ts';
import type { Java } from './java.ts';
import { fetchKafkaJars, hasKafkaJars, kafkaJarFolder, kafkaVersion } from './kafka-jars.ts';

/** Apache Kafka on this machine: a Java and the jars. */
export interface KafkaProgram {
  readonly kind: 'program';
  readonly java: Java;
  readonly classPath: string;
  readonly version: string;
}

/** A broker that somebody else runs; its address came from EDGE_KAFKA_ADDRESS. */
export interface KafkaAddress {
  readonly kind: 'address';
  readonly host: string;
  readonly port: number;
}

export interface FindKafkaOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Told what is about to be fetched, before it is. Standard error by default. */
  readonly say?: (line: string) => void;
}

export const kafkaAddressVariable = 'EDGE_KAFKA_ADDRESS';

/**
 * The broker that EDGE_KAFKA_ADDRESS names, on this machine; `none` when it says that there is to be none; undefined when it is not set.
 * Throws INVALID_INPUT.
 */
export function kafkaAddress(env: NodeJS.ProcessEnv): KafkaAddress | 'none' | undefined {
  const text = env[kafkaAddressVariable];
  if (text === undefined || text === '') return undefined;
  if (text === 'none') return text;
  const service = { name: 'kafka', addressVariable: kafkaAddressVariable, standardPort: 9092 };
  return { kind: 'address', ...readAddress(service, text) };
}

/** Kafka as far as it is on this machine already: nothing is fetched. Undefined when a part is missing. */
export async function presentKafka(env: NodeJS.ProcessEnv): Promise<KafkaProgram | undefined> {
  const cache = cacheFolder(env);
  if (!hasKafkaJars(cache)) return undefined;
  const java = await findJava(env);
  return java === null ? undefined : programOf(java, kafkaJarFolder(cache));
}

/** Finds Kafka, fetching what is missing. Throws SERVICE_MISSING with the choices when that does not work. */
export async function findKafka(options: FindKafkaOptions = {}): Promise<KafkaProgram> {
  const env = options.env ?? process.env;
  const say = options.say ?? ((line: string) => process.stderr.write(`kafka: ${line}\n`));
  const cache = cacheFolder(env);
  const failures: string[] = [];
  const attempt = <T>(work: Promise<T>): Promise<T | null> =>
    work.catch((error: unknown) => {
      failures.push(error instanceof Error ? error.message : String(error));
      return null;
    });
  const java = (await findJava(env)) ?? (await attempt(unpackJava(cache, env, say)));
  const jars = java === null ? null : await attempt(fetchKafkaJars(cache, env, say));
  if (java === null || jars === null) throw new EdgeError('SERVICE_MISSING', missing(java, failures));
  return programOf(java, jars);
}

function programOf(java: Java, folder: string): KafkaProgram {
  return { kind: 'program', java, classPath: `${folder}/libs/*`, version: kafkaVersion };
}

function missing(java: Java | null, failures: readonly string[]): string {
  const choices = [
    `set ${kafkaAddressVariable}=127.0.0.1:PORT to use a broker that runs`,
    java === null
      ? 'put Java 17 or newer on PATH (Debian, Ubuntu: apt-get install default-jre-headless; macOS: brew install openjdk)'
      : 'put mvn on PATH, to fetch the jars with (Debian, Ubuntu: apt-get install maven; macOS: brew install maven)',
  ];
  const tried = failures.length === 0 ? '' : ` Tried without success: ${failures.join('; ')}.`;
  return `No Apache Kafka was found.${tried} Choose one: ${choices.join('; ')}.`;
}
