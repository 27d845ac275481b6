import { isDeepStrictEqual } from 'node:util';
import { applyPatch } from '../merge-patch.ts';
import type { DesiredDocument, JsonObject, JsonValue } from './edge.ts';

/** What a patch or a full read came to. */
export interface DesiredOutcome {
  /** To be delivered: it differs from what was delivered last. */
  readonly document?: DesiredDocument;
  /** Something is missing in between: the whole twin has to be read. */
  readonly incomplete: boolean;
}

/**
 * Builds the whole desired section out of full reads and patches, by `$version`. The SDK's own copy merges arrays element by
 * element, applies patches in the order they come and never looks at versions, so it is not used.
 */
export interface DesiredTracker {
  /** Forgets the state, not what was delivered: the next full read counts, whatever its version. */
  connectionStarted(): void;
  full(section: unknown): DesiredOutcome;
  patch(section: unknown): DesiredOutcome;
  /** Forgets patches that wait for one in between that never came. */
  giveUpEarly(): void;
}

/** More early patches than this means that the full read is overdue anyway. */
const MAX_EARLY = 32;

export function createDesiredTracker(): DesiredTracker {
  let current: DesiredDocument | undefined;
  let delivered: DesiredDocument | undefined;
  /** Patches that came before the state they build on. */
  let early = new Map<number, JsonObject>();

  const settle = (): void => {
    if (current === undefined) return;
    for (
      let next = early.get(current.version + 1);
      next !== undefined;
      next = early.get(current.version + 1)
    ) {
      current = { properties: applyPatch(current.properties, next), version: current.version + 1 };
    }
    const reached = current.version;
    // Old ones and repetitions go the same way as those that were applied.
    early = new Map([...early].filter(([version]) => version > reached));
  };

  const outcome = (): DesiredOutcome => {
    const incomplete = early.size > 0;
    if (current === undefined || isDeepStrictEqual(current, delivered)) return { incomplete };
    delivered = current;
    return { document: { ...current, properties: structuredClone(current.properties) }, incomplete };
  };

  return {
    connectionStarted() {
      current = undefined;
      early = new Map();
    },
    full(section) {
      const document = parseSection(section);
      // IoT Hub counts from 1. An edgeHub that has no copy and no way to the cloud answers an empty section without one.
      if (document === undefined || document.version < 1) return { incomplete: false };
      if (current !== undefined && document.version < current.version) return outcome();
      current = document;
      settle();
      return outcome();
    },
    patch(section) {
      const patch = parseSection(section);
      if (patch === undefined) return { incomplete: true };
      if (early.size >= MAX_EARLY) early.clear();
      early.set(patch.version, patch.properties);
      settle();
      return outcome();
    },
    giveUpEarly() {
      early = new Map();
    },
  };
}

/** Splits a section of the twin into what the user wrote and its `$version`; undefined when it has none. */
export function parseSection(section: unknown): DesiredDocument | undefined {
  if (!isJsonObject(section)) return undefined;
  const version = section['$version'];
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) return undefined;
  return { properties: userProperties(section), version };
}

/** Without `$version` and `$metadata`; user keys never start with `$`. */
export function userProperties(section: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(section).filter(([key]) => !key.startsWith('$')));
}

export function isJsonObject(value: unknown): value is Record<string, JsonValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
