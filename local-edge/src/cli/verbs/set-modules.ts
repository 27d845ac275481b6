import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeError } from '../../errors.ts';
import type { JsonObject } from '../../hub/hub-api.ts';
import { isObject } from '../../hub/twin-merge.ts';
import { readObjectArgument } from '../json-argument.ts';
import { explainFailure } from '../service-failures.ts';
import type { ServiceClient } from '../service-client.ts';
import { columns } from '../table.ts';
import type { VerbContext } from '../verb.ts';
import { listIdentities } from './module-identity.ts';

const TAKES_UP_MS = 30_000;
const POLL_MS = 100;

/** As az: an outer `content` is taken off, `moduleContent` is accepted, other keys are left out. */
function modulesContentOf(manifest: JsonObject): JsonObject {
  const content = isObject(manifest['content']) ? manifest['content'] : manifest;
  const modulesContent = content['modulesContent'] ?? content['moduleContent'];
  if (isObject(modulesContent)) return modulesContent;
  throw new EdgeError(
    'INVALID_INPUT',
    '--content is no deployment manifest: it has no modulesContent object with $edgeAgent, $edgeHub and the modules',
  );
}

export async function setModules(context: VerbContext): Promise<void> {
  const { args, io, hub } = context;
  const manifest = readObjectArgument(args.text('--content') ?? '', '--content', io.cwd);
  const deviceId = args.text('--device-id') ?? hub.deviceId;
  const client = await context.service();
  const hasAgent = (await agentOf(client)).lastVersion !== undefined;
  const answer = await client.call(
    'POST',
    `/devices/${encodeURIComponent(deviceId)}/applyConfigurationContent`,
    {
      body: { modulesContent: modulesContentOf(manifest) },
    },
  );
  if (answer.status !== 204 && answer.status !== 200) {
    throw await explainFailure(client, answer, { action: 'deploying the manifest', deviceId });
  }
  await listIdentities(context);
  // The hub has taken it; whether the device does is edgeAgent's word, and it comes later.
  if (hasAgent) await reportTakeUp(context, client);
}

interface AgentView {
  readonly version: number;
  readonly lastVersion: number | undefined;
  readonly code: number;
  readonly description: string;
  readonly modules: JsonObject;
}

async function agentOf(client: ServiceClient): Promise<AgentView> {
  const path = `/twins/${encodeURIComponent(client.hub.deviceId)}/modules/$edgeAgent`;
  const { body } = await client.call('GET', path);
  const properties = isObject(body) ? body['properties'] : undefined;
  const desired = isObject(properties) && isObject(properties['desired']) ? properties['desired'] : {};
  const reported = isObject(properties) && isObject(properties['reported']) ? properties['reported'] : {};
  const status = isObject(reported['lastDesiredStatus']) ? reported['lastDesiredStatus'] : {};
  const last = reported['lastDesiredVersion'];
  return {
    version: Number(desired['$version'] ?? 0),
    lastVersion: typeof last === 'number' ? last : undefined,
    code: Number(status['code'] ?? 0),
    description: typeof status['description'] === 'string' ? status['description'] : '',
    modules: isObject(reported['modules']) ? reported['modules'] : {},
  };
}

/** Waits until edgeAgent has worked the deployment off; shows how each module is, or throws with the code and the words that it reports. */
async function reportTakeUp({ io }: VerbContext, client: ServiceClient): Promise<void> {
  const deadline = Date.now() + TAKES_UP_MS;
  let agent = await agentOf(client);
  while (agent.lastVersion !== agent.version && Date.now() < deadline && !io.signal.aborted) {
    await sleep(POLL_MS);
    agent = await agentOf(client);
  }
  if (agent.lastVersion !== agent.version) {
    io.stderr(`edgeAgent has not worked it off within ${TAKES_UP_MS / 1000} s; see edge list\n`);
    return;
  }
  const rows = Object.entries(agent.modules).map(([name, module]) => {
    const of = (key: string): string => {
      const value = isObject(module) ? module[key] : undefined;
      return typeof value === 'string' ? value : '';
    };
    return [name, of('runtimeStatus'), of('statusDescription')];
  });
  if (agent.code !== 200) {
    const problem = `edgeAgent reports ${agent.code}: ${agent.description}`;
    throw new EdgeError('REFUSED', `deploying the manifest: ${problem}`);
  }
  io.stderr(`${columns([['NAME', 'STATUS', 'DESCRIPTION'], ...rows])}\n`);
}
