import { EdgeError } from '../../errors.ts';
import type { JsonValue } from '../../hub/hub-api.ts';
import { isObject } from '../../hub/twin-merge.ts';
import { MAX_PAYLOAD_BYTES, payloadBytes } from '../../service-api/method-call.ts';
import { readJsonArgument } from '../json-argument.ts';
import type { ServiceAnswer, ServiceClient } from '../service-client.ts';
import { explainFailure } from '../service-failures.ts';
import type { VerbContext } from '../verb.ts';

interface Call {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly methodName: string;
  readonly seconds: number;
}

function payloadOf({ args, io }: VerbContext): JsonValue {
  const text = args.text('--method-payload');
  const payload = text === undefined ? {} : readJsonArgument(text, '--method-payload', io.cwd);
  const bytes = payloadBytes(payload);
  if (bytes <= MAX_PAYLOAD_BYTES) return payload;
  throw new EdgeError(
    'INVALID_INPUT',
    `the payload has ${bytes} bytes, and a direct method takes ${MAX_PAYLOAD_BYTES} (128 KB); split it into several calls`,
  );
}

function failure(client: ServiceClient, answer: ServiceAnswer, call: Call): Promise<EdgeError> | EdgeError {
  if (answer.errorName === 'DeviceNotOnline') {
    return new EdgeError(
      'NOT_FOUND',
      `${call.moduleId} is not connected or has registered no methods (404103); ` +
        `edge list shows its state, edge logs ${call.moduleId} the reason`,
    );
  }
  if (answer.errorName === 'GatewayTimeout') {
    return new EdgeError(
      'REFUSED',
      `${call.moduleId} did not answer ${call.methodName} within ${call.seconds} s (504101): it is busy, or has no method ` +
        `of that name (upper and lower case count); edge logs ${call.moduleId} may tell`,
    );
  }
  const action = `invoking ${call.methodName} of ${call.moduleId}`;
  return explainFailure(client, answer, { action, deviceId: call.deviceId, moduleId: call.moduleId });
}

/** Calls a method and prints status and payload, in this order. */
export async function invokeModuleMethod(context: VerbContext): Promise<void> {
  const { args, hub } = context;
  const call: Call = {
    deviceId: args.text('--device-id') ?? hub.deviceId,
    moduleId: args.text('--module-id') ?? '',
    methodName: args.text('--method-name') ?? '',
    seconds: args.number('--timeout') ?? 30,
  };
  const payload = payloadOf(context);
  const client = await context.service();
  const answer = await client.call(
    'POST',
    `/twins/${encodeURIComponent(call.deviceId)}/modules/${encodeURIComponent(call.moduleId)}/methods`,
    {
      body: {
        methodName: call.methodName,
        payload,
        responseTimeoutInSeconds: call.seconds,
        connectTimeoutInSeconds: call.seconds,
      },
    },
  );
  if (answer.status !== 200 || !isObject(answer.body)) throw await failure(client, answer, call);
  context.json({ status: answer.body['status'], payload: answer.body['payload'] });
}
