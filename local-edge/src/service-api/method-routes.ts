import type { Hub, MethodOutcome } from '../hub/hub-api.ts';
import { requireDevice } from './lookup.ts';
import type { MethodRequestBody } from './method-call.ts';
import { MAX_PAYLOAD_BYTES, checkMethodRequest, payloadBytes } from './method-call.ts';
import type { Reply } from './replies.ts';
import { methodErrorReply } from './replies.ts';
import type { ServiceRequest } from './request.ts';
import { parameter, parseObject } from './request.ts';
import type { Route } from './router.ts';

/** az reads no longer than its own `--to`, which it sends as both time-outs: the answer has to be there before. */
const HEAD_START_MS = 500;
/** edgeHub waits up to 3 s after a late subscription; past that nobody answers any more. */
const LATE_SUBSCRIPTION_MS = 3500;

function timeSpan(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

function notOnline(connectTimeoutMs: number): Reply {
  return methodErrorReply(
    404,
    'DeviceNotOnline',
    404103,
    "The operation failed because the requested device isn't online or hasn't registered the direct method callback. " +
      'To learn more, see https://aka.ms/iothub404103',
    { timeout: timeSpan(connectTimeoutMs) },
  );
}

function timedOut(): Reply {
  return methodErrorReply(504, 'GatewayTimeout', 504101, 'Timed out waiting for the response from device.');
}

function deadlineOf(call: MethodRequestBody): number {
  return call.responseTimeoutMs === call.connectTimeoutMs
    ? call.responseTimeoutMs - HEAD_START_MS
    : call.responseTimeoutMs + call.connectTimeoutMs + LATE_SUBSCRIPTION_MS;
}

async function beforeDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), deadlineMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function replyOf(outcome: MethodOutcome, moduleId: string, call: MethodRequestBody): Reply {
  switch (outcome.kind) {
    case 'reply': {
      const size = payloadBytes(outcome.payload);
      if (size > MAX_PAYLOAD_BYTES) {
        return methodErrorReply(
          502,
          'InvalidDeviceResponse',
          502000,
          `The reply of ${moduleId} to ${call.methodName} has ${size} bytes, more than ${MAX_PAYLOAD_BYTES}.`,
        );
      }
      return { status: 200, body: { status: outcome.status, payload: outcome.payload } };
    }
    case 'notFound':
      return methodErrorReply(
        404,
        'ModuleNotFound',
        404010,
        `Module ${moduleId} is not registered on the device.`,
      );
    case 'notOnline':
      return notOnline(call.connectTimeoutMs);
    case 'timeout':
      return timedOut();
  }
}

async function invoke(hub: Hub, moduleId: string, call: MethodRequestBody): Promise<Reply> {
  const deadline = deadlineOf(call);
  const outcome = await beforeDeadline(
    hub.methods.invoke({
      moduleId,
      methodName: call.methodName,
      payload: call.payload,
      responseTimeoutMs: Math.min(call.responseTimeoutMs, deadline),
      connectTimeoutMs: Math.min(call.connectTimeoutMs, deadline),
    }),
    deadline,
  );
  if (outcome !== undefined) return replyOf(outcome, moduleId, call);
  return hub.identities.connection(moduleId).connected ? timedOut() : notOnline(call.connectTimeoutMs);
}

/** Direct methods of modules; the device itself has none, since an edge device is no method target. */
export function methodRoutes(hub: Hub): Route[] {
  const handle = async (request: ServiceRequest, moduleId: string | undefined): Promise<Reply> => {
    requireDevice(hub, request);
    const check = checkMethodRequest(parseObject(request));
    if (!check.ok) return methodErrorReply(400, 'ArgumentInvalid', 400004, check.problem);
    if (moduleId === undefined) return notOnline(check.call.connectTimeoutMs);
    return invoke(hub, moduleId, check.call);
  };
  return [
    {
      method: 'POST',
      pattern: '/twins/:device/modules/:module/methods',
      handler: (request) => handle(request, parameter(request, 'module')),
    },
    { method: 'POST', pattern: '/twins/:device/methods', handler: (request) => handle(request, undefined) },
  ];
}
