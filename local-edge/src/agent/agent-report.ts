import type { JsonObject, JsonValue, Twins } from '../hub/hub-api.ts';
import { ownValue } from '../manifest/record.ts';
import type { Desired } from './desired-modules.ts';
import type { ModuleSupervisor } from './module-supervisor.ts';

const never = '0001-01-01T00:00:00Z';
const architectures: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', arm: 'armv7l' };

/** What edgeAgent and edgeHub say about themselves in their reported properties. */
export interface Report {
  readonly desired: Desired;
  readonly desiredVersion: number;
  readonly edgeHubVersion: number;
  readonly modules: readonly ModuleSupervisor[];
  readonly startedAt: Date;
}

/** Writes the reported properties of `$edgeAgent` and `$edgeHub`; nothing is sent when nothing has changed. */
export class AgentReporter {
  readonly #twins: Twins;
  #last = '';

  constructor(twins: Twins) {
    this.#twins = twins;
  }

  report(report: Report): void {
    const agent = agentProperties(report);
    const edgeHub = edgeHubProperties(report);
    const text = JSON.stringify([agent, edgeHub]);
    if (text === this.#last) return;
    this.#last = text;
    this.#twins.patchReported('$edgeAgent', { ...agent, modules: this.#withRemoved(agent['modules']) });
    this.#twins.patchReported('$edgeHub', edgeHub);
  }

  /** Modules that are gone need a null, or the twin would keep them; so does every property that a module no longer has. */
  #withRemoved(modules: JsonValue | undefined): JsonObject {
    const now = asObject(modules);
    const before = asObject(this.#twins.get('$edgeAgent')?.reported.properties['modules']);
    const changed = Object.entries(before).map(([name, old]): [string, JsonValue] => {
      const current = ownValue(now, name);
      return [name, current === undefined ? null : { ...nulls(asObject(old)), ...asObject(current) }];
    });
    return { ...now, ...Object.fromEntries(changed) };
  }
}

function agentProperties({ desired, desiredVersion, modules, startedAt }: Report): JsonObject {
  const failed = modules.map((module) => module.status()).filter((status) => status.status === 'failed');
  const refused = failed.filter((status) => status.startedAt === null);
  const status =
    desired.code !== 200
      ? { code: desired.code, description: desired.description }
      : refused.length > 0
        ? { code: 500, description: refused.map((one) => `${one.name}: ${one.description}`).join(' ') }
        : { code: 200, description: '' };
  const system = (image: string, more: JsonObject): JsonObject => ({
    type: 'docker',
    imagePullPolicy: 'on-create',
    settings: { image },
    runtimeStatus: 'running',
    lastStartTimeUtc: startedAt.toISOString(),
    ...more,
  });
  return {
    schemaVersion: '1.1',
    version: { version: 'local-edge' },
    lastDesiredVersion: desiredVersion,
    lastDesiredStatus: status,
    runtime: {
      type: 'docker',
      platform: {
        os: 'linux',
        architecture: architectures[process.arch] ?? process.arch,
        version: 'local-edge',
      },
    },
    systemModules: {
      edgeAgent: system(desired.images.edgeAgent, {}),
      edgeHub: system(desired.images.edgeHub, {
        status: 'running',
        restartPolicy: 'always',
        restartCount: 0,
      }),
    },
    modules: Object.fromEntries(modules.map((module) => [module.module.name, moduleProperties(module)])),
  };
}

function moduleProperties(supervisor: ModuleSupervisor): JsonObject {
  const status = supervisor.status();
  const { lastStart, lastExit, lastRestart } = supervisor.times;
  const time = (date: Date | null) => date?.toISOString() ?? never;
  return {
    ...(JSON.parse(JSON.stringify(supervisor.module.echo)) as JsonObject),
    runtimeStatus: status.status,
    exitCode: status.exitCode ?? 0,
    // Without times that change by themselves: each would be another update of the twin.
    statusDescription:
      status.status === 'running' ? 'running' : status.description.replace(/, next start in \d+ s$/, ''),
    restartCount: status.restartCount,
    lastStartTimeUtc: time(lastStart),
    lastExitTimeUtc: time(lastExit),
    lastRestartTimeUtc: time(lastRestart),
  };
}

function edgeHubProperties({ edgeHubVersion }: Report): JsonObject {
  return {
    schemaVersion: '1.1',
    version: { version: 'local-edge' },
    lastDesiredVersion: edgeHubVersion,
    lastDesiredStatus: { code: 200, description: '' },
  };
}

function asObject(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

function nulls(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.keys(value).map((key) => [key, null]));
}
