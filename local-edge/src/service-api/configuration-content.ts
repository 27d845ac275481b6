import { EdgeError } from '../errors.ts';
import type { ConfigurationContent, Hub, JsonObject } from '../hub/hub-api.ts';
import { checkConfiguration } from '../hub/configuration.ts';
import { isObject } from '../hub/twin-merge.ts';
import { ServiceError } from './replies.ts';

function invalid(finding: string): ServiceError {
  return new ServiceError(
    400,
    'InvalidConfigurationContent',
    `The content provided for configuration is invalid. Please check and try again. ${finding}`,
  );
}

/** The part of a body that deploys to an edge device; other top keys are ignored, as IoT Hub does. */
export function readContent(body: JsonObject): ConfigurationContent {
  const modulesContent = body['modulesContent'];
  if (!isObject(modulesContent)) throw invalid('modulesContent must be a JSON object.');
  const checked = Object.entries(modulesContent).map(([moduleId, content]): [string, JsonObject] => {
    if (!isObject(content)) throw invalid(`modulesContent.${moduleId} must be a JSON object.`);
    return [moduleId, content];
  });
  return { modulesContent: Object.fromEntries(checked) };
}

/** Checks a deployment that is not applied yet. */
export function checkContent(body: JsonObject): void {
  const { findings } = checkConfiguration(readContent(body), () => ({}));
  if (findings.length > 0) throw invalid(findings.join(' '));
}

/** Hands a deployment to the hub; its findings reach the client behind IoT Hub's own text. */
export async function applyContent(hub: Hub, body: JsonObject): Promise<void> {
  const content = readContent(body);
  try {
    await hub.applyConfiguration(content);
  } catch (error) {
    if (error instanceof EdgeError && error.code === 'INVALID_CONFIGURATION')
      throw invalid(error.message.replaceAll('\n', ' '));
    throw error;
  }
}
