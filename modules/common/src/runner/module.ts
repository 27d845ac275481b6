import type { Component } from './component.ts';
import type { Edge, JsonObject, JsonValue } from '../edge/edge.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Fields, SettingsOf } from '../settings/settings.ts';

/** What the runner hands to a module's `build`. */
export interface ModuleContext {
  /** The module's kind, e.g. `redis-client`. */
  readonly name: string;
  /** This instance on this device: the module id under IoT Edge, else INSTANCE_NAME, else the kind. Own keys and client ids carry it. */
  readonly instance: string;
  /** Folder on a volume for what the module keeps over a restart; absent when it was given none. */
  readonly stateDir?: string | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  /** For inputs and outputs; methods and desired properties belong to the runner. */
  readonly edge: Pick<Edge, 'onInput' | 'send' | 'status' | 'identity' | 'kind'>;
  /** `$version` of the desired properties in use; 0 before there are any. */
  settingsVersion(): number;
  /** Sets a top-level reported property (null removes it): coalesced, rate-limited, sent again after a reconnect. Never a secret. */
  report(key: string, value: JsonValue): void;
}

/**
 * A replaceable part: when a setting in `uses` changes, the runner creates a new component, starts it, makes it the active
 * one and stops the old one. `exclusive` parts (an identity that only one may hold) stop first, and the last good settings
 * come back when the new ones fail. Settings marked live are handed to `applyLive` instead.
 */
export interface Part<S> {
  readonly name: string;
  readonly uses: readonly (keyof S & string)[];
  readonly exclusive?: boolean;
  /** A sentence naming what is missing before the part can be created at all: the module stays up, reports it and waits. */
  missing?(settings: S): string | undefined;
  create(settings: S): Component<S>;
}

export interface ModuleDefinition<F extends Fields> {
  readonly name: string;
  readonly version: string;
  readonly fields: F;
  /** Mistakes that only several settings together make. */
  check?(settings: SettingsOf<F>): { name: keyof F & string; problem: string }[];
  /** Every direct method the module answers; answered with 503 while no component that offers it is active. */
  readonly methods: readonly string[];
  build(context: ModuleContext): readonly Part<SettingsOf<F>>[];
  /** Long operations as commands of the module's own program: JSON on stdout, the number is the exit code. */
  readonly commands?: Readonly<
    Record<
      string,
      (
        context: ModuleContext,
        settings: SettingsOf<F>,
        signal: AbortSignal,
      ) => Promise<{ exitCode: number; result: JsonObject }>
    >
  >;
}
