import { acknowledge, isAck } from './acknowledge.ts';
import type { Clock } from '../clock.ts';
import type { DesiredSettings } from '../settings/desired-settings.ts';
import type { JsonValue } from '../edge/edge.ts';
import type { ModuleHealth } from '../runner/health.ts';
import { overall } from '../runner/health.ts';
import type { Parts } from '../runner/parts.ts';
import type { Reporter } from './reporter.ts';
import type { Fields } from '../settings/settings.ts';

/** Keeps the reported properties in step with what the desired ones have come to, and with the module's health. */
export interface TwinAnswers {
  /** Looks at everything anew; to be called on every change. */
  refresh(): void;
  stop(): void;
}

export interface TwinAnswersOptions<S> {
  readonly fields: Fields;
  readonly desired: DesiredSettings<Fields>;
  readonly parts: Parts<S>;
  readonly reporter: Reporter;
  /** True for a name under which the module itself reports something: a desired property of that name must not write over it. */
  readonly isOwn: (property: string) => boolean;
  readonly clock: Clock;
}

/** An attempt that lasts longer is reported as under way. */
const SLOW_MS = 5000;
const HEALTH = 'health';

function plain(value: unknown): JsonValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null;
}

export function createTwinAnswers<S>({
  fields,
  desired,
  parts,
  reporter,
  isOwn,
  clock,
}: TwinAnswersOptions<S>): TwinAnswers {
  const keyOf = new Map(Object.entries(fields).map(([key, field]) => [field.twin, key as keyof S & string]));
  const answered = new Set<string>();
  let since = clock.now();
  let last: ModuleHealth['state'] | undefined;
  let timedFor: unknown;
  let isSlow = false;
  let cancel: (() => void) | undefined;

  const reportHealth = (): void => {
    const { state, detail } = overall(parts.health());
    if (state !== last) since = clock.now();
    last = state;
    reporter.set(HEALTH, {
      state,
      ...(detail === undefined ? {} : { detail }),
      since: new Date(since).toISOString(),
    });
  };

  const inUse = (property: string): JsonValue => {
    const key = keyOf.get(property);
    if (key === undefined) return null;
    const target = parts.inUse(key);
    if (target) return target.desired[property] ?? plain(target.settings[key]);
    return desired.accepted[property] ?? plain(desired.settings[key]);
  };

  const reportAcks = (): void => {
    const { newest } = desired;
    if (!newest) return;
    const { document, mistakes } = newest;
    if (timedFor !== document) {
      timedFor = document;
      isSlow = false;
      cancel?.();
      cancel = clock.after(SLOW_MS, () => {
        isSlow = true;
        refresh();
      });
    }
    const acks = acknowledge({
      document,
      mistakes,
      accepted: desired.accepted,
      isSecret: (property) => fields[keyOf.get(property) ?? '']?.secret ?? false,
      stateOf: (property) => {
        const key = keyOf.get(property);
        return key === undefined ? { kind: 'in use' } : parts.keyState(key);
      },
      inUse,
      isSlow,
    });
    for (const [property, ack] of Object.entries(acks)) {
      if (property === HEALTH || (!keyOf.has(property) && isOwn(property))) {
        answered.delete(property);
        continue;
      }
      answered.add(property);
      reporter.set(property, ack);
    }
    const held = Object.entries(reporter.known ?? {}).filter(([, value]) => isAck(value));
    for (const property of new Set([...answered, ...held.map(([name]) => name)])) {
      // What the module reports by itself may look like an answer; it is not ours to take back.
      if (property in document.properties || isOwn(property)) continue;
      answered.delete(property);
      reporter.set(property, null);
    }
  };

  const refresh = (): void => {
    reportHealth();
    reportAcks();
  };

  return { refresh, stop: () => cancel?.() };
}
