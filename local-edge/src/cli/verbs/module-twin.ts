import { EdgeError } from '../../errors.ts';
import type { JsonObject, JsonValue } from '../../hub/hub-api.ts';
import { isObject, setOwn } from '../../hub/twin-merge.ts';
import { ownValue } from '../../manifest/record.ts';
import { readObjectArgument, refuseTooDeep } from '../json-argument.ts';
import type { CallOptions } from '../service-client.ts';
import { explainFailure } from '../service-failures.ts';
import type { VerbContext } from '../verb.ts';

async function callTwin(
  context: VerbContext,
  method: string,
  action: string,
  options: CallOptions = {},
): Promise<void> {
  const moduleId = context.args.text('--module-id') ?? '';
  const deviceId = context.args.text('--device-id') ?? context.hub.deviceId;
  const client = await context.service();
  const path = `/twins/${encodeURIComponent(deviceId)}/modules/${encodeURIComponent(moduleId)}`;
  const answer = await client.call(method, path, options);
  if (answer.status !== 200) {
    throw await explainFailure(client, answer, { action: `${action} ${moduleId}`, deviceId, moduleId });
  }
  context.json(answer.body);
}

function ifMatch({ args }: VerbContext): string {
  return `"${args.text('--etag') ?? '*'}"`;
}

/** JSON when it is JSON, else text: `a=1` is a number, `a=redis:6379` a text, `a=null` deletes. */
function valueOf(text: string): JsonValue {
  refuseTooDeep(text, 'the value of --set');
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

function setPath(target: JsonObject, assignment: string): void {
  const equals = assignment.indexOf('=');
  const path = assignment.slice(0, Math.max(equals, 0)).split('.');
  const writable = path[0] === 'tags' || (path[0] === 'properties' && path[1] === 'desired');
  if (equals < 0 || !writable || path.length < (path[0] === 'tags' ? 2 : 3) || path.includes('')) {
    throw new EdgeError('USAGE', '--set takes properties.desired.NAME=VALUE or tags.NAME=VALUE');
  }
  let at = target;
  for (const key of path.slice(0, -1)) {
    const next = ownValue(at, key);
    const inner: JsonObject = isObject(next) ? next : {};
    setOwn(at, key, inner);
    at = inner;
  }
  setOwn(at, path.at(-1) ?? '', valueOf(assignment.slice(equals + 1)));
}

export function showTwin(context: VerbContext): Promise<void> {
  return callTwin(context, 'GET', 'reading the twin of');
}

export function updateTwin(context: VerbContext): Promise<void> {
  const { args, io } = context;
  const desired = args.text('--desired');
  const tags = args.text('--tags');
  const body: JsonObject = {};
  if (desired !== undefined)
    body['properties'] = { desired: readObjectArgument(desired, '--desired', io.cwd) };
  if (tags !== undefined) body['tags'] = readObjectArgument(tags, '--tags', io.cwd);
  for (const assignment of args.texts('--set')) setPath(body, assignment);
  if (Object.keys(body).length === 0) {
    throw new EdgeError('USAGE', 'edge module-twin update needs --desired, --tags or --set');
  }
  return callTwin(context, 'PATCH', 'updating the twin of', { body, ifMatch: ifMatch(context) });
}

export function replaceTwin(context: VerbContext): Promise<void> {
  const body = readObjectArgument(context.args.text('--json') ?? '', '--json', context.io.cwd);
  return callTwin(context, 'PUT', 'replacing the twin of', { body, ifMatch: ifMatch(context) });
}
