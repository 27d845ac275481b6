import type { JsonObject, JsonValue, UpstreamEvent } from '../hub/hub-api.ts';

/** What is shown of an event besides its payload. */
export type EventKind = 'sys' | 'app' | 'anno';

export interface EventView {
  readonly view: JsonObject;
  /** Why the payload is shown as text though it says that it is JSON. */
  readonly warning?: string;
}

/** az shows the names of AMQP: `contentType` is `content_type` there. */
function amqpName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function annotationsOf(event: UpstreamEvent): JsonObject {
  const enqueued = Date.parse(event.enqueuedTime);
  return {
    'iothub-connection-device-id': event.deviceId,
    'iothub-connection-module-id': event.moduleId,
    'iothub-connection-auth-method':
      '{"scope":"module","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}',
    'iothub-enqueuedtime': enqueued,
    'iothub-message-source': 'Telemetry',
    'x-opt-sequence-number': event.sequenceNumber,
    'x-opt-offset': String(event.sequenceNumber),
    'x-opt-enqueued-time': enqueued,
  };
}

function payloadOf(event: UpstreamEvent, contentType: string): { payload: JsonValue; warning?: string } {
  const text = event.body.toString('utf8');
  if (!contentType.toLowerCase().includes('application/json')) return { payload: text };
  try {
    return { payload: JSON.parse(text) as JsonValue };
  } catch {
    const warning = `event ${event.sequenceNumber} of ${event.moduleId} says application/json, but its payload is not JSON`;
    return { payload: text, warning };
  }
}

/** An event in the shape of `az iot hub monitor-events`; `contentType` overrides what the event says. */
export function eventView(
  event: UpstreamEvent,
  kinds: ReadonlySet<EventKind>,
  contentType?: string,
): EventView {
  const system = Object.fromEntries(
    Object.entries(event.system).map(([name, value]) => [amqpName(name), value]),
  );
  const properties: JsonObject = {
    ...(kinds.has('sys') ? { system } : {}),
    ...(kinds.has('app') ? { application: { ...event.application } } : {}),
  };
  const { payload, warning } = payloadOf(event, contentType ?? event.system['contentType'] ?? '');
  return {
    view: {
      event: {
        origin: event.deviceId,
        module: event.moduleId,
        interface: '',
        component: '',
        ...(Object.keys(properties).length > 0 ? { properties } : {}),
        ...(kinds.has('anno') ? { annotations: annotationsOf(event) } : {}),
        payload,
      },
    },
    ...(warning === undefined ? {} : { warning }),
  };
}
