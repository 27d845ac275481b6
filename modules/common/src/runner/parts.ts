import type { Clock } from '../clock.ts';
import type { ComponentHealth } from './component.ts';
import type { JsonObject, MethodHandler } from '../edge/edge.ts';
import type { PartHealth } from './health.ts';
import { overall, readyBody } from './health.ts';
import type { Log } from '../log.ts';
import type { Part } from './module.ts';
import { PartHost } from './part-host.ts';
import type { KeyState, Target } from './part-state.ts';

/** All parts of a module as one. */
export interface Parts<S> {
  apply(target: Target<S>): void;
  /** Handler of the active component that offers the method. */
  method(name: string): MethodHandler | undefined;
  health(): readonly PartHealth[];
  isReady(): boolean;
  readiness(): { readonly isReady: boolean; readonly body: JsonObject };
  /** Why a method that is known finds nobody to answer it. */
  whyDown(): string;
  /** The worst of the parts that use the setting; in use when none does. */
  keyState(key: keyof S & string): KeyState;
  /** Settings of the component at work that uses the key. */
  inUse(key: keyof S & string): Target<S> | undefined;
  onceReady(listener: () => void): void;
  /** Steps that stop the parts, the last one first. */
  stops(signal: AbortSignal): readonly (readonly [string, () => Promise<void>])[];
}

export interface PartsOptions<S> {
  readonly parts: readonly Part<S>[];
  readonly isLive: (key: string) => boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly drainMs: number;
  readonly onChange: () => void;
}

const WORST_FIRST: readonly KeyState['kind'][] = ['failed', 'waiting', 'pending', 'in use'];

export function createParts<S>({ parts, isLive, log, clock, drainMs, onChange }: PartsOptions<S>): Parts<S> {
  const readyListeners: (() => void)[] = [];
  const lastStates = new Map<string, ComponentHealth['state']>();

  const host = (part: Part<S>): PartHost<S> =>
    new PartHost<S>({ part, isLive, log, clock, drainMs, onChange: changed });
  const health = (): PartHealth[] =>
    hosts.map((each) => ({ name: each.name, isStarted: each.isStarted, ...each.health() }));
  const isReady = (): boolean => overall(health()).isReady;
  const changed = (): void => {
    for (const part of health()) tell(part);
    if (isReady()) for (const listener of readyListeners.splice(0)) listener();
    onChange();
  };
  /** Failed starts are logged where they are retried; here it is about parts that have worked. */
  const tell = ({ name, state, detail, isStarted }: PartHealth): void => {
    const before = lastStates.get(name);
    if (before === state || (before === undefined && !isStarted)) return;
    lastStates.set(name, state);
    const fields = { part: name, ...(detail === undefined ? {} : { detail }) };
    if (state === 'ok') log.info('part works', fields);
    else if (state === 'degraded') log.warn('part works with limits', fields);
    else log.error('part is down', fields);
  };
  const hosts = parts.map(host);
  const users = (key: keyof S & string): PartHost<S>[] =>
    hosts.filter((each) => parts.some(({ name, uses }) => name === each.name && uses.includes(key)));

  return {
    apply(target) {
      for (const each of hosts) each.apply(target);
    },
    method(name) {
      for (const each of hosts) {
        const found = each.method(name);
        if (found) return found;
      }
      return undefined;
    },
    health,
    isReady,
    readiness: () => ({ isReady: isReady(), body: readyBody(health()) }),
    whyDown: () =>
      overall(health()).detail ?? 'no part of the module answers this method with the settings that it has',
    keyState(key) {
      const states = users(key).map((each) => each.keyState(key));
      const sorted = states.sort((a, b) => WORST_FIRST.indexOf(a.kind) - WORST_FIRST.indexOf(b.kind));
      return sorted[0] ?? { kind: 'in use' };
    },
    inUse: (key) => users(key)[0]?.inUse,
    onceReady(listener) {
      if (isReady()) listener();
      else readyListeners.push(listener);
    },
    stops: (signal) => hosts.toReversed().map((each) => [each.name, () => each.stop(signal)] as const),
  };
}
