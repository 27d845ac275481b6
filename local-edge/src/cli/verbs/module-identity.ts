import { explainFailure } from '../service-failures.ts';
import type { VerbContext } from '../verb.ts';

export async function listIdentities(context: VerbContext): Promise<void> {
  const deviceId = context.args.text('--device-id') ?? context.hub.deviceId;
  const client = await context.service();
  const answer = await client.call('GET', `/devices/${encodeURIComponent(deviceId)}/modules`);
  if (answer.status !== 200)
    throw await explainFailure(client, answer, { action: 'listing the modules', deviceId });
  context.json(answer.body);
}
