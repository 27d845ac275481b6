import { ConfigError, parseSettings } from '@iotedge-redis/common';
import type { Fields } from '@iotedge-redis/common';
import { didYouMean } from '../../local-edge/src/cli/did-you-mean.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import type { Content, DeployedModule } from './content.ts';
import { desiredOf, envPlace, environmentOf, error, twinPlace } from './content.ts';
import type { OwnModule } from './own-modules.ts';

/** Variables that are meant for Node, its libraries and the system. */
const foreign =
  /^(NODE_|V8_FLAGS_WHEN_UP$|MALLOC_|UV_|SSL_|TZ$|LANG$|LC_|HOME$|PATH$|RuntimeLogLevel$|(https?|no|all)_proxy$)/i;

/** What the module itself would say at its start: of its environment, and of its desired properties. */
export function checkSettings(content: Content, module: DeployedModule, own: OwnModule): Finding[] {
  const environment = environmentOf(module);
  const desired = desiredOf(content, module.name);
  const findings = unknownVariables(own.fields, environment).map(({ name, problem }) =>
    error(envPlace(module, name), problem),
  );
  try {
    // Its files are on the device; what matters here is that they are named.
    const readSecret = (): string => 'unknown';
    parseSettings(own.fields, { environment, desired, readSecret }, own.check);
  } catch (failure) {
    if (!(failure instanceof ConfigError)) throw failure;
    for (const { origin, name, problem } of failure.mistakes)
      findings.push(
        error(origin === 'twin' ? twinPlace(module.name, name) : envPlace(module, name), `${problem}.`),
      );
  }
  return findings;
}

function unknownVariables(
  fields: Fields,
  environment: Readonly<Record<string, string>>,
): { name: string; problem: string }[] {
  const known = Object.values(fields).flatMap(({ env, secret }) =>
    secret ? env.flatMap((name) => [name, `${name}_FILE`]) : env,
  );
  return Object.keys(environment)
    .filter((name) => !known.includes(name) && !foreign.test(name))
    .map((name) => ({
      name,
      problem: `the module has no setting of this name${didYouMean(name, known) || '.'}`,
    }));
}
