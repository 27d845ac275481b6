import type { ComponentHealth } from '../../modules/common/src/runner/component.ts';
import type { MethodHandler } from '../../modules/common/src/edge/edge.ts';
import { SuiteError } from '../../modules/common/src/errors.ts';
import type { Part } from '../../modules/common/src/runner/module.ts';

export interface PartSettings {
  readonly place: string;
  readonly filter: string;
}

export interface ScriptedPart {
  readonly part: Part<PartSettings>;
  /** What happened, in order: `create a`, `start a`, `live x`, `stop a` … by the place in the settings. */
  readonly events: string[];
  /** What the next starts at a place come to; they work when nothing is said. */
  readonly starts: Record<string, 'works' | 'fails' | 'hangs' | 'is denied'>;
  readonly stops: Record<string, 'works' | 'fails' | 'hangs' | 'drains'>;
  /** Health of the component at a place. */
  readonly setHealth: (place: string, health: ComponentHealth) => void;
}

/** A part of a module whose outside system is the script of a test. */
export function scriptedPart(more: Partial<Part<PartSettings>> = {}, isTold = true): ScriptedPart {
  const events: string[] = [];
  const starts: ScriptedPart['starts'] = {};
  const stops: ScriptedPart['stops'] = {};
  const healths = new Map<string, ComponentHealth>();
  const listeners = new Map<string, () => void>();
  const never = new Promise<never>(() => undefined);

  const create = (settings: PartSettings): ReturnType<Part<PartSettings>['create']> => {
    const { place } = settings;
    events.push(`create ${place}`);
    const where: MethodHandler = () => Promise.resolve({ status: 200, payload: place });
    return {
      name: 'scripted',
      methods: { Where: where },
      async start() {
        events.push(`start ${place}`);
        if (starts[place] === 'fails')
          throw new SuiteError('REDIS_UNAVAILABLE', `connecting to ${place}: refused`);
        if (starts[place] === 'is denied')
          throw new SuiteError('REDIS_AUTH', `connecting to ${place}: wrong password`);
        if (starts[place] === 'hangs') await never;
      },
      async stop(signal) {
        events.push(`stop ${place}`);
        if (stops[place] === 'fails') throw new SuiteError('INTERNAL', `stopping ${place}: broken`);
        if (stops[place] === 'hangs') await never;
        if (stops[place] === 'drains') {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          events.push(`hurry ${place}`);
        }
      },
      health: () => healths.get(place) ?? { state: 'ok' },
      applyLive: ({ filter }) => void events.push(`live ${filter}`),
      ...(isTold ? { onHealthChange: (listener: () => void) => void listeners.set(place, listener) } : {}),
    };
  };
  return {
    part: { name: 'scripted', uses: ['place', 'filter'], create, ...more },
    events,
    starts,
    stops,
    setHealth(place, health) {
      healths.set(place, health);
      listeners.get(place)?.();
    },
  };
}
