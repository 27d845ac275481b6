import type { JsonObject, MethodHandler } from '../edge/edge.ts';

export interface ComponentHealth {
  readonly state: 'ok' | 'degraded' | 'down';
  /** One sentence for a human when the state is not `ok`; never a value, never a secret. */
  readonly detail?: string;
  /** Further numbers for the `Health` method and the reported properties. */
  readonly data?: JsonObject;
}

/**
 * A part of a module that holds a connection or state. Construct without I/O; `start` resolves when it works and rejects
 * when it does not (the runner retries); `stop` is idempotent, stops intake, drains, releases, and hurries when its signal
 * aborts. A component never loops on a failed start and never ends the process.
 */
export interface Component<S> {
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  stop(signal: AbortSignal): Promise<void>;
  health(): ComponentHealth;
  /** Direct methods that this component answers while it is the active one, by exact name. */
  readonly methods?: Readonly<Record<string, MethodHandler>>;
  /** Takes over settings that are marked live; called only when one of them changed. */
  applyLive?(settings: S): void;
  /** Called once by the runner: the component calls the listener whenever `health()` would answer differently. */
  onHealthChange?(listener: () => void): void;
}
