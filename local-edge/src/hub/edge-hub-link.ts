import type { MethodCall, MethodOutcome } from './hub-api.ts';

/** What the IoT Hub core asks of the edgeHub that is attached to it. */
export interface EdgeHubLink {
  /** Answers `notOnline` or `timeout` by itself; the module is known to exist. */
  invoke(call: MethodCall): Promise<MethodOutcome>;
  drop(how: 'fin' | 'rst', moduleId?: string): void;
  loseSessions(): void;
  /** Closes connections whose token no longer holds. */
  recheckTokens(): void;
  /** The identity is gone: its connection, session and queued messages go too. */
  forget(moduleId: string): void;
}
