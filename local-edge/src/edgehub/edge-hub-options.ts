import type { Certificates } from '../certificates.ts';
import type { HubCore } from '../hub/hub.ts';

export interface EdgeHubOptions {
  readonly hub: HubCore;
  readonly certificates: Certificates;
  /** 0 = any free one. */
  readonly port: number;
  readonly host?: string;
  /** One more address to listen on, with the same port: that of this machine in the network of containers. */
  readonly alsoOn?: string;
  readonly now?: () => number;
  /** Time limits that tests shorten. */
  readonly limits?: Partial<EdgeHubLimits>;
}

export interface EdgeHubLimits {
  readonly connectArrivalMs: number;
  readonly ackTimeoutMs: number;
  readonly methodSettleMs: number;
  readonly reauthenticateMs: number;
}

/** The limits of edgeHub itself. */
export const defaultLimits: EdgeHubLimits = {
  connectArrivalMs: 60_000,
  ackTimeoutMs: 30_000,
  methodSettleMs: 3000,
  reauthenticateMs: 300_000,
};
