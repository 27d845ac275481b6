import { EdgeError } from '../../errors.ts';
import type { JsonObject } from '../../hub/hub-api.ts';
import { isObject } from '../../hub/twin-merge.ts';
import { readObjectArgument } from '../json-argument.ts';
import { explainFailure } from '../service-failures.ts';
import type { VerbContext } from '../verb.ts';
import { listIdentities } from './module-identity.ts';

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
}
