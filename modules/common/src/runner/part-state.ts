import { isDeepStrictEqual } from 'node:util';
import type { Component, ComponentHealth } from './component.ts';
import type { JsonObject } from '../edge/edge.ts';

/** Settings with the desired properties they were made of. */
export interface Target<S> {
  readonly settings: S;
  readonly desired: JsonObject;
}

/** A component with what it was made of. */
export interface Running<S> {
  component: Component<S> | undefined;
  target: Target<S>;
  isStarted: boolean;
  error?: string;
}

/** How far a setting has come into effect. */
export type KeyState =
  { readonly kind: 'in use' | 'pending' } | { readonly kind: 'waiting' | 'failed'; readonly detail: string };

/** Where a part stands. */
export interface PartState<S> {
  readonly missing: string | undefined;
  readonly target: Target<S> | undefined;
  readonly active: Running<S> | undefined;
  /** Why the component that is to replace the active one did not start last time. */
  readonly failure: string | undefined;
}

export function partHealth<S>({ missing, active, failure }: PartState<S>): ComponentHealth {
  if (missing !== undefined) return { state: 'down', detail: missing };
  if (!active) return { state: 'down', detail: 'not created yet' };
  const own = active.component?.health() ?? { state: 'down' };
  const detail = own.detail ?? active.error;
  const withDetail = detail === undefined ? own : { ...own, detail };
  if (!active.isStarted) return { ...withDetail, state: 'down', detail: detail ?? 'starting' };
  if (own.state !== 'ok' || failure === undefined) return own.state === 'ok' ? own : withDetail;
  return { ...own, state: 'degraded', detail: `the new settings are not in use: ${failure}` };
}

export function keyState<S>(
  { missing, active, target, failure }: PartState<S>,
  key: keyof S & string,
): KeyState {
  if (missing !== undefined) return { kind: 'waiting', detail: missing };
  if (!active || !target) return { kind: 'pending' };
  if (!isDeepStrictEqual(active.target.settings[key], target.settings[key]))
    return failure === undefined ? { kind: 'pending' } : { kind: 'failed', detail: failure };
  if (!active.isStarted)
    return active.error === undefined ? { kind: 'pending' } : { kind: 'failed', detail: active.error };
  const own = active.component?.health();
  return own?.state === 'down' ? { kind: 'failed', detail: own.detail ?? 'down' } : { kind: 'in use' };
}
