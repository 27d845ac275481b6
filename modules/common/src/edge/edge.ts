/**
 * The port between a module and IoT Edge. Two implementations: `azure-edge` (edgeHub, by the device SDK) and
 * `standalone-edge` (no IoT Edge: settings from environment and file, methods over HTTP). One contract suite covers both.
 */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

export interface MethodRequest {
  readonly name: string;
  /** The parsed JSON payload; `null` when the caller sent none. */
  readonly payload: JsonValue;
  readonly requestId: string;
}

export interface MethodReply {
  readonly status: number;
  readonly payload: JsonValue;
}

/** May throw or reject: the edge answers 500 with `{Message, Status}` then, so that the caller never waits for its time-out. */
export type MethodHandler = (request: MethodRequest) => Promise<MethodReply>;

/** The whole desired section, never a patch. `version` is its `$version`; without `$version` and `$metadata` in `properties`. */
export interface DesiredDocument {
  readonly properties: JsonObject;
  readonly version: number;
}

export interface EdgeMessage {
  readonly data: Buffer;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly messageId?: string;
  readonly correlationId?: string;
  readonly properties: Readonly<Record<string, string>>;
}

export type EdgeState = 'connecting' | 'connected' | 'disconnected' | 'stopped';

export interface EdgeStatus {
  readonly state: EdgeState;
  /** Why it is not connected, for a human; never a secret. */
  readonly reason?: string;
  readonly since: Date;
}

export interface EdgeIdentity {
  readonly deviceId: string;
  readonly moduleId: string;
}

/**
 * Register handlers and listeners first, then `start`. `start` returns at once: the connection is made and kept in the
 * background, for as long as it takes, since data paths must not wait for edgeHub.
 */
export interface Edge {
  readonly kind: 'azure' | 'standalone';
  readonly identity: EdgeIdentity;
  readonly status: EdgeStatus;
  /** Names are matched exactly; a second registration of a name is a programming error and throws. */
  onMethod(name: string, handler: MethodHandler): void;
  /** PUBACK goes out when the SDK has handed the message over, whatever the handler does: at most once after arrival. */
  onInput(input: string, handler: (message: EdgeMessage) => Promise<void>): void;
  /**
   * Called with the whole document after each (re)connect when it differs from the last one delivered, and on each change;
   * versions never go back, except when the hub itself restarted its count (a new identity).
   */
  onDesired(listener: (document: DesiredDocument) => void): void;
  onStatus(listener: (status: EdgeStatus) => void): void;
  /** Called after each (re)connect with the reported section as the hub holds it (without `$version`). */
  onReported(listener: (reported: JsonObject) => void): void;
  /**
   * Merges a patch into the reported section (null deletes). Resolves when the hub has answered.
   * Rejects with EDGE_UNAVAILABLE (not connected, link lost, no answer in time) or EDGE_REFUSED.
   */
  report(patch: JsonObject): Promise<void>;
  /** Sends a message to an output. Resolves on PUBACK; rejects as `report` does. The caller keeps what was not acknowledged. */
  send(output: string, message: EdgeMessage): Promise<void>;
  start(): void;
  /** Idempotent. Waits for method replies under way, until the signal aborts. */
  stop(signal: AbortSignal): Promise<void>;
}
