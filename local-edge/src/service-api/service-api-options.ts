import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { EdgeLog } from '../edge-log.ts';
import type { Hub } from '../hub/hub-api.ts';

export interface ServiceApiOptions {
  readonly hub: Hub;
  /** Base64 key of the policy `iothubowner`. */
  readonly policyKey: string;
  readonly certificates: { readonly key: string | Buffer; readonly cert: string | Buffer };
  /** Wanted port; a free one is taken when it is in use. 0 asks for a free one. */
  readonly port: number;
  readonly host: string;
  /** Where the device twin and the configurations are kept. */
  readonly stateDir: string;
  /** Method calls between modules come to the same port and path; `x-ms-edge-moduleId` marks them. */
  readonly edgeHubHandler?: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
  /** WebSocket upgrades with the subprotocol `mqtt`. */
  readonly edgeHubUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly log?: EdgeLog;
  readonly now?: () => number;
}
