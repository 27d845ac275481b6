import { isObject } from '../hub/twin-merge.ts';
import type { JsonObject, TwinSection } from '../hub/hub-api.ts';
import type { HubCore } from '../hub/hub.ts';
import type { EdgeLog } from '../edge-log.ts';
import type { Connection } from './connection.ts';
import type { ConnectionRegistry } from './connection-registry.ts';
import { twinChangeMessage } from './message.ts';
import type { Router } from './router.ts';
import { desiredTopic, twinReplyTopic } from './topics.ts';

/** The twin operations of connected modules. No reply goes out before `$iothub/twin/res/#` is subscribed. */
export class TwinEndpoint {
  readonly #hub: HubCore;
  readonly #registry: ConnectionRegistry;
  readonly #router: Router;
  readonly #log: EdgeLog;

  constructor(options: { hub: HubCore; registry: ConnectionRegistry; router: Router; log: EdgeLog }) {
    this.#hub = options.hub;
    this.#registry = options.registry;
    this.#router = options.router;
    this.#log = options.log;
  }

  get(connection: Connection, moduleId: string, requestId: string): void {
    if (this.#hub.faults.noTwinReply) return;
    const twin = this.#hub.twins.get(moduleId);
    const body = { desired: sectionOf(twin?.desired), reported: sectionOf(twin?.reported) };
    void connection.publish(twinReplyTopic(200, requestId), JSON.stringify(body));
  }

  /** 204 without a version, 400 or 500 with an empty body: so edgeHub answers. Without a `$rid` nothing is answered. */
  patchReported(connection: Connection, moduleId: string, requestId: string, payload: Buffer): void {
    const status = this.#patch(moduleId, payload);
    if (requestId !== '') void connection.publish(twinReplyTopic(status, requestId), '');
  }

  /** Desired patches go to whoever is connected and has subscribed; nothing is kept for the others. */
  pushDesired(moduleId: string, patch: JsonObject, version: number): void {
    const connection = this.#registry.subscribed(moduleId, 'desired');
    void connection?.publish(desiredTopic(version), JSON.stringify({ ...patch, $version: version }));
  }

  #patch(moduleId: string, payload: Buffer): 204 | 400 | 500 {
    let patch: unknown;
    try {
      patch = JSON.parse(payload.toString('utf8'));
    } catch {
      patch = undefined;
    }
    if (!isObject(patch)) {
      this.#log('warn', `the reported properties of ${moduleId} are refused: the payload is no JSON object`);
      return 500;
    }
    const result = this.#hub.twins.patchReported(moduleId, patch);
    if (!result.ok) {
      this.#log('warn', `the reported properties of ${moduleId} are refused: ${result.problem}`);
      return 400;
    }
    try {
      this.#router.route(twinChangeMessage(moduleId, payload));
    } catch (error) {
      this.#log('error', `the twin change of ${moduleId} cannot be stored`, { error });
      return 500;
    }
    return 204;
  }
}

function sectionOf(section: TwinSection | undefined): JsonObject {
  return { ...section?.properties, $version: section?.version ?? 0 };
}
