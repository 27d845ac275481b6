import type { JsonObject, JsonValue, MethodHandler, MethodReply } from '@iotedge-redis/common';

/** What the methods ask of the import; each text is the reply's sentence. */
export interface SyncControl {
  /** Undefined when it starts, else why it does not. */
  start(isOnlyIfChanged: boolean): string | undefined;
  /** False when there is nothing to cancel. */
  cancel(): boolean;
  describe(): JsonObject;
  sentence(): string;
}

/** Sync, SyncStatus and CancelSync. */
export function syncMethods(control: SyncControl): Readonly<Record<string, MethodHandler>> {
  return {
    Sync: ({ payload }) => Promise.resolve(start(control, payload)),
    SyncStatus: () =>
      Promise.resolve({
        status: 200,
        payload: { ...control.describe(), Status: 200, Message: control.sentence() },
      }),
    CancelSync: () =>
      Promise.resolve(
        control.cancel()
          ? reply(200, 'the import ends after the present batch')
          : reply(409, 'no import is under way'),
      ),
  };
}

function start(control: SyncControl, payload: JsonValue): MethodReply {
  const options = payload === null || payload === '' ? {} : payload;
  const isObject = typeof options === 'object' && !Array.isArray(options);
  const { ifChanged, ...unknown } = isObject ? options : { unknown: true };
  if (Object.keys(unknown).length > 0 || (ifChanged !== undefined && typeof ifChanged !== 'boolean')) {
    return reply(400, 'expected no payload, or {"ifChanged": true}');
  }
  const refusal = control.start(ifChanged === true);
  if (refusal !== undefined) return reply(409, refusal);
  return reply(202, 'the import starts; SyncStatus and the reported property sync tell how it goes');
}

function reply(status: number, message: string): MethodReply {
  return { status, payload: { Message: message, Status: status } };
}
