import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { buildOnce } from './cache.ts';
import { lastLine, runCommand } from './command.ts';

export const kafkaVersion = '4.3.1';
const slf4jVersion = '1.7.36';
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** Where the jars of Apache Kafka are kept, whether or not they are there yet. */
export function kafkaJarFolder(cache: string): string {
  return join(cache, 'kafka', kafkaVersion);
}

export function hasKafkaJars(cache: string): boolean {
  return existsSync(kafkaJarFolder(cache));
}

/**
 * Fetches the jars once, by Maven: it knows where its central repository is, which mirror and which proxy to use here, and what the
 * broker needs. Checksums that do not fit end it. Throws SERVICE_MISSING when there is no `mvn` or it fails.
 */
export async function fetchKafkaJars(
  cache: string,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string> {
  const target = kafkaJarFolder(cache);
  return buildOnce(target, async (folder) => {
    const version = await runCommand('mvn', ['--version'], { env, timeoutMs: 60_000 });
    if (version.code !== 0) throw new EdgeError('SERVICE_MISSING', `mvn does not run: ${lastLine(version)}`);
    say(`fetching the jars of Apache Kafka ${kafkaVersion} (44 MB) by mvn into ${target}`);
    const pom = join(folder, 'pom.xml');
    const libs = join(folder, 'libs');
    await mkdir(libs);
    await writeFile(pom, projectFile);
    const result = await runCommand(
      'mvn',
      [
        ...['-q', '-B', '--strict-checksums', '-f', pom, copyDependencies],
        '-DincludeScope=runtime',
        `-DoutputDirectory=${libs}`,
      ],
      { env, cwd: folder },
    );
    if (result.code !== 0) throw new EdgeError('SERVICE_MISSING', `mvn failed: ${firstError(result.stdout)}`);
  });
}

/** Maven ends with advice; what went wrong stands in its first line of that kind. */
function firstError(output: string): string {
  return /^\[ERROR\] (.+)$/m.exec(output)?.[1]?.slice(0, 300) ?? 'it says nothing of the reason';
}

// kafka-tools-api is for command-line tools only. slf4j-simple is configured by system properties, without a file.
const projectFile = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${slf4jVersion}</version>
    </dependency>
  </dependencies>
</project>
`;
