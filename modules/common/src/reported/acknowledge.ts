import { isDeepStrictEqual } from 'node:util';
import type { DesiredDocument, JsonObject, JsonValue } from '../edge/edge.ts';
import type { Mistake } from '../errors.ts';
import { isObject } from '../merge-patch.ts';
import type { KeyState } from '../runner/part-state.ts';

export interface AckInput {
  /** The newest document of the hub, accepted or not. */
  readonly document: DesiredDocument;
  /** What is wrong with it; empty when it was accepted. */
  readonly mistakes: readonly Mistake[];
  /** Desired properties of the last good document. */
  readonly accepted: JsonObject;
  readonly isSecret: (property: string) => boolean;
  readonly stateOf: (property: string) => KeyState;
  /** What works now, in the words of the twin; null where that cannot be said. */
  readonly inUse: (property: string) => JsonValue;
  /** True when attempts under way have lasted long enough to be worth an update of their own. */
  readonly isSlow: boolean;
}

function outcome(property: string, input: AckInput): { ac: number; ad: string } | undefined {
  const { document, mistakes, accepted } = input;
  const own = mistakes.filter(({ origin, name }) => origin === 'twin' && name === property);
  if (own.length > 0) return { ac: 400, ad: own.map(({ problem }) => problem).join('; ') };
  if (mistakes.length > 0 && !isDeepStrictEqual(document.properties[property], accepted[property])) {
    const names = mistakes.map(({ name, problem, origin }) =>
      origin === 'twin' ? name : `${name}: ${problem}`,
    );
    return { ac: 424, ad: `not applied, because the document has mistakes: ${names.join(', ')}` };
  }
  const state = input.stateOf(property);
  switch (state.kind) {
    case 'in use':
      return { ac: 200, ad: 'in use' };
    case 'failed':
      return { ac: 503, ad: state.detail };
    case 'waiting':
      return { ac: 202, ad: state.detail };
    case 'pending':
      return input.isSlow ? { ac: 202, ad: 'being applied' } : undefined;
  }
}

/**
 * What a Plug and Play module answers to each desired property: value in use, code, version of the document, description.
 * A property whose first attempt is still under way is left out, so that its last answer stands until the outcome is known.
 */
export function acknowledge(input: AckInput): Record<string, JsonObject> {
  const acks: Record<string, JsonObject> = {};
  for (const [property, desired] of Object.entries(input.document.properties)) {
    const found = outcome(property, input);
    if (!found) continue;
    const value = found.ac === 200 ? desired : input.inUse(property);
    acks[property] = {
      value: input.isSecret(property) ? null : value,
      ac: found.ac,
      av: input.document.version,
      ad: found.ad,
    };
  }
  return acks;
}

/** Recognises our own answers among what the hub holds, to remove those whose property is gone. */
export function isAck(value: JsonValue | undefined): boolean {
  return isObject(value) && typeof value['ac'] === 'number' && typeof value['av'] === 'number';
}
