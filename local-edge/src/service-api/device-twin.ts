import type { JsonObject, Twin, TwinResult } from '../hub/hub-api.ts';
import { merge, stampMetadata, withoutNulls } from '../hub/twin-merge.ts';
import { findBreach, maxSectionBytes, maxTagsBytes, serviceRules, sizeOf } from '../hub/twin-rules.ts';

export interface DeviceTwinChange {
  readonly desired?: JsonObject;
  readonly tags?: JsonObject;
}

/** What is kept of the device twin; nothing on an edge device reads it, but deployments are targeted by its tags. */
export interface DeviceTwinState {
  readonly version: number;
  readonly tags: JsonObject;
  readonly desired: JsonObject;
  readonly desiredMetadata: JsonObject;
  readonly desiredVersion: number;
  readonly createdTime: string;
}

export interface DeviceTwin {
  get(): Twin;
  patchDesired(change: DeviceTwinChange): TwinResult;
  replaceDesired(change: DeviceTwinChange): TwinResult;
}

export function newDeviceTwin(now: Date): DeviceTwinState {
  const createdTime = now.toISOString();
  return {
    version: 2,
    tags: {},
    desired: {},
    desiredMetadata: { $lastUpdated: createdTime },
    desiredVersion: 1,
    createdTime,
  };
}

/** Base64 of an 8-byte big-endian counter, as the etags of twins are. */
function etagOf(version: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(version));
  return bytes.toString('base64');
}

function twinOf(state: DeviceTwinState): Twin {
  return {
    moduleId: '',
    etag: etagOf(state.version - 1),
    version: state.version,
    tags: state.tags,
    desired: { properties: state.desired, version: state.desiredVersion, metadata: state.desiredMetadata },
    reported: { properties: {}, version: 1, metadata: { $lastUpdated: state.createdTime } },
  };
}

function breachOf(change: DeviceTwinChange, next: DeviceTwinState): string | undefined {
  const breach =
    findBreach(change.desired ?? {}, serviceRules) ?? findBreach(change.tags ?? {}, serviceRules);
  if (breach !== undefined) return breach;
  if (sizeOf(next.desired) > maxSectionBytes) return `Desired properties exceed ${maxSectionBytes} bytes.`;
  return sizeOf(next.tags) > maxTagsBytes ? `Tags exceed ${maxTagsBytes} bytes.` : undefined;
}

/** The twin of the device itself. `save` makes each accepted change durable before it is answered. */
export function createDeviceTwin(
  load: () => DeviceTwinState,
  save: (state: DeviceTwinState) => void,
): DeviceTwin {
  const change = (
    given: DeviceTwinChange,
    combine: (old: JsonObject, update: JsonObject) => JsonObject,
  ): TwinResult => {
    const state = load();
    const time = new Date().toISOString();
    const version = state.desiredVersion + 1;
    const next: DeviceTwinState = {
      ...state,
      version: state.version + 1,
      ...(given.tags === undefined ? {} : { tags: combine(state.tags, given.tags) }),
      ...(given.desired === undefined
        ? {}
        : {
            desired: combine(state.desired, given.desired),
            desiredMetadata: stampMetadata(state.desiredMetadata, given.desired, { time, version }),
            desiredVersion: version,
          }),
    };
    const problem = breachOf(given, next);
    if (problem !== undefined) return { ok: false, problem };
    save(next);
    return { ok: true, twin: twinOf(next) };
  };
  return {
    get: () => twinOf(load()),
    patchDesired: (given) => change(given, merge),
    replaceDesired: (given) => change(given, (_old, update) => withoutNulls(update)),
  };
}
