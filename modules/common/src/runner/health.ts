import type { ComponentHealth } from './component.ts';
import type { EdgeStatus, JsonObject } from '../edge/edge.ts';

export interface PartHealth extends ComponentHealth {
  readonly name: string;
  readonly isStarted: boolean;
}

export interface ModuleHealth {
  readonly state: ComponentHealth['state'];
  readonly detail: string | undefined;
  /** Every part is at work and none is down. */
  readonly isReady: boolean;
}

const ORDER: readonly ComponentHealth['state'][] = ['ok', 'degraded', 'down'];

/** A module is as well as its worst part. */
export function overall(parts: readonly PartHealth[]): ModuleHealth {
  const sorted = [...parts].sort((a, b) => ORDER.indexOf(b.state) - ORDER.indexOf(a.state));
  const worst = sorted[0];
  const detail = worst && worst.state !== 'ok' ? `${worst.name}: ${worst.detail ?? worst.state}` : undefined;
  return {
    state: worst?.state ?? 'ok',
    detail,
    isReady: parts.every((part) => part.isStarted && part.state !== 'down'),
  };
}

export interface HealthFacts {
  readonly name: string;
  readonly version: string;
  readonly instance: string;
  readonly startedAt: number;
  readonly now: number;
  readonly settingsVersion: number | undefined;
  readonly edgeKind: string;
  readonly edge: EdgeStatus;
  readonly parts: readonly PartHealth[];
}

/** Payload of the `Health` method: always an answer, also when nothing works. */
export function healthPayload(facts: HealthFacts): JsonObject {
  const { state, detail, isReady } = overall(facts.parts);
  return {
    Message: detail === undefined ? state : `${state}: ${detail}`,
    Status: 200,
    State: state,
    Ready: isReady,
    Module: facts.name,
    Instance: facts.instance,
    Version: facts.version,
    UptimeSeconds: Math.round((facts.now - facts.startedAt) / 1000),
    SettingsVersion: facts.settingsVersion ?? null,
    Edge: {
      Kind: facts.edgeKind,
      State: facts.edge.state,
      Since: facts.edge.since.toISOString(),
      ...(facts.edge.reason === undefined ? {} : { Reason: facts.edge.reason }),
    },
    Parts: facts.parts.map((part) => ({
      Name: part.name,
      State: part.state,
      ...(part.detail === undefined ? {} : { Detail: part.detail }),
      ...(part.data === undefined ? {} : { Data: part.data }),
    })),
  };
}

/** Body of /readyz: enough for a human who looks why a container is not ready. */
export function readyBody(parts: readonly PartHealth[]): JsonObject {
  const { state, detail, isReady } = overall(parts);
  return {
    ready: isReady,
    state,
    ...(detail === undefined ? {} : { detail }),
    parts: parts.map(({ name, state: own, detail: why }) => ({
      name,
      state: own,
      ...(why === undefined ? {} : { detail: why }),
    })),
  };
}
