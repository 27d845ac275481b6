import { EdgeError } from '../errors.ts';
import type { JsonValue } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import type { ServiceAnswer, ServiceClient } from './service-client.ts';

/** The text of either of IoT Hub's error bodies. */
export function failureText(body: JsonValue): string {
  const message = isObject(body) ? body['Message'] : undefined;
  if (typeof message !== 'string') return '';
  try {
    const inner = JSON.parse(message) as JsonValue;
    if (isObject(inner) && typeof inner['message'] === 'string') return inner['message'];
  } catch {
    // Form A: `ErrorCode:NAME;TEXT`.
  }
  return message.replace(/^ErrorCode:[^;]*;/, '');
}

async function moduleNames(client: ServiceClient): Promise<string[]> {
  const { body } = await client.call('GET', `/devices/${encodeURIComponent(client.hub.deviceId)}/modules`);
  if (!Array.isArray(body)) return [];
  return body.flatMap((item) =>
    isObject(item) && typeof item['moduleId'] === 'string' ? [item['moduleId']] : [],
  );
}

/** Turns a refusal into a sentence that says what is wrong and what to do. */
export async function explainFailure(
  client: ServiceClient,
  answer: ServiceAnswer,
  what: { readonly action: string; readonly deviceId: string; readonly moduleId?: string },
): Promise<EdgeError> {
  const text = failureText(answer.body);
  switch (answer.errorName) {
    case 'DeviceNotFound':
      return new EdgeError(
        'NOT_FOUND',
        `there is no device ${what.deviceId}; the local edge has ${client.hub.deviceId}`,
      );
    case 'ModuleNotFound': {
      const known = await moduleNames(client);
      return new EdgeError(
        'NOT_FOUND',
        `there is no module ${what.moduleId ?? ''}; there are ${known.join(', ')}`,
      );
    }
    case 'IotHubUnauthorizedAccess':
      return new EdgeError(
        'REFUSED',
        `${what.action}: the hub refused the token; hub.json is of another run, restart the local edge`,
      );
    case 'SystemModuleModifyUnauthorizedAccess':
      return new EdgeError(
        'REFUSED',
        `${what.action}: IoT Hub lets only a deployment change $edgeAgent and $edgeHub; use edge set-modules`,
      );
    case 'PreconditionFailed':
      return new EdgeError(
        'REFUSED',
        `${what.action}: it was changed meanwhile, its etag is another; read it again`,
      );
    default:
      return new EdgeError('REFUSED', `${what.action}: ${text === '' ? `status ${answer.status}` : text}`);
  }
}
