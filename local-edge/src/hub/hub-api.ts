/**
 * What the parts of the local edge know of each other: the IoT Hub core (identities, twins, methods, events, deployments),
 * as seen by the service API, by edgeHub and by the agent.
 */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

export interface ModuleIdentity {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly generationId: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  /** `IotEdge` for identities that a deployment created; null for those made through the registry. */
  readonly managedBy: string | null;
  readonly etag: string;
}

export interface ConnectionInfo {
  readonly connected: boolean;
  /** ISO 8601, `0001-01-01T00:00:00Z` when never. */
  readonly stateUpdatedTime: string;
  readonly lastActivityTime: string;
}

/** One edge device and its modules. Ids are compared ordinally, as edgeHub does. `$edgeAgent` and `$edgeHub` always exist. */
export interface Identities {
  readonly deviceId: string;
  readonly deviceKeys: { readonly primary: string; readonly secondary: string };
  list(): ModuleIdentity[];
  get(moduleId: string): ModuleIdentity | undefined;
  /** Creates the identity, or answers the one that exists. */
  add(
    moduleId: string,
    options?: { managedBy?: string | null; primaryKey?: string; secondaryKey?: string },
  ): ModuleIdentity;
  /** Removes identity, twin, session and queued messages; a connected client is dropped. */
  remove(moduleId: string): boolean;
  connection(moduleId: string): ConnectionInfo;
}

/** One section with its `$version`; metadata is kept beside it, for the service side only. */
export interface TwinSection {
  readonly properties: JsonObject;
  readonly version: number;
  /** `$metadata` tree: `$lastUpdated` (and `$lastUpdatedVersion` in desired) at the root and per property. */
  readonly metadata: JsonObject;
}

export interface Twin {
  readonly moduleId: string;
  readonly etag: string;
  readonly version: number;
  readonly tags: JsonObject;
  readonly desired: TwinSection;
  readonly reported: TwinSection;
}

export interface TwinRefusal {
  readonly problem: string;
}
export type TwinResult = { readonly ok: true; readonly twin: Twin } | ({ readonly ok: false } & TwinRefusal);

/** Twins by module id. All mutations validate first (edge-protocol §5.1) and are durable when they return. */
export interface Twins {
  get(moduleId: string): Twin | undefined;
  /** Merges `desired` and `tags` patches (null deletes, arrays replaced); the version goes up by one per accepted section. */
  patchDesired(moduleId: string, patch: { desired?: JsonObject; tags?: JsonObject }): TwinResult;
  /** Replaces a section; reaches the module as a patch with explicit nulls for what is gone. */
  replaceDesired(moduleId: string, content: { desired?: JsonObject; tags?: JsonObject }): TwinResult;
  patchReported(moduleId: string, patch: JsonObject): TwinResult;
  /** Called after each accepted desired change, with the patch as the module is to see it (nulls included). */
  onDesired(listener: (moduleId: string, patch: JsonObject, version: number) => void): () => void;
  onReported(listener: (moduleId: string, patch: JsonObject, version: number) => void): () => void;
}

export interface MethodCall {
  readonly moduleId: string;
  readonly methodName: string;
  readonly payload: JsonValue;
  readonly responseTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

/** `notFound`: no such module; `notOnline`: not connected or no subscription by the end of the connect time-out. */
export type MethodOutcome =
  | { readonly kind: 'reply'; readonly status: number; readonly payload: JsonValue }
  | { readonly kind: 'notFound' }
  | { readonly kind: 'notOnline' }
  | { readonly kind: 'timeout'; readonly requestId: string };

export interface Methods {
  invoke(call: MethodCall): Promise<MethodOutcome>;
  /** Methods of a module that the local edge itself plays (`$edgeAgent`). */
  handle(
    moduleId: string,
    handler: (name: string, payload: JsonValue) => Promise<{ status: number; payload: JsonValue }>,
  ): void;
}

/** A message that went INTO $upstream. */
export interface UpstreamEvent {
  readonly sequenceNumber: number;
  /** ISO 8601 */
  readonly enqueuedTime: string;
  readonly deviceId: string;
  readonly moduleId: string;
  readonly output: string | null;
  /** System properties by their long names (contentType, contentEncoding, messageId, correlationId …). */
  readonly system: Readonly<Record<string, string>>;
  readonly application: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Events {
  /** The last ones kept (a bounded ring), oldest first. */
  recent(since?: number): UpstreamEvent[];
  onEvent(listener: (event: UpstreamEvent) => void): () => void;
}

/** A deployment: `modulesContent` as IoT Hub takes it. */
export interface ConfigurationContent {
  readonly modulesContent: Readonly<Record<string, Readonly<Record<string, JsonValue>>>>;
}

/** Faults that tests switch on and off (edge-protocol §11.9). Every one is off at start. */
export interface FaultSwitches {
  /** Refuse TCP connections to edgeHub (the listener is closed). */
  refuse: boolean;
  /** Answer every CONNECT with this return code. */
  connack: number | null;
  /** Accept, then never write a byte (no CONNACK, no PUBACK, no ping reply); what is connected falls silent too. */
  stall: boolean;
  /** Accept publishes and never acknowledge them. */
  noPuback: boolean;
  /** Never answer a twin GET. */
  noTwinReply: boolean;
  /** Answer sign requests with 500. */
  signFails: boolean;
  /** Answer trust-bundle requests with 500. */
  trustBundleFails: boolean;
}

export interface Hub {
  readonly hostName: string;
  readonly deviceId: string;
  readonly identities: Identities;
  readonly twins: Twins;
  readonly methods: Methods;
  readonly events: Events;
  readonly faults: FaultSwitches;
  /** Checks the content; throws EdgeError INVALID_CONFIGURATION with one sentence per finding. Creates identities, sets desired sections, then notifies. */
  applyConfiguration(content: ConfigurationContent): Promise<void>;
  /** Called after each applied configuration; what is listened for here (the agent) starts and stops modules. */
  onConfiguration(listener: (content: ConfigurationContent) => void): () => void;
  /** Drops every edgeHub connection of a module (or of all): `fin` closes, `rst` resets. */
  drop(how: 'fin' | 'rst', moduleId?: string): void;
  /** Forgets all MQTT sessions, as an edgeHub without its storage does after a restart. */
  loseSessions(): void;
  /** Moves the clock that token checks use, in milliseconds (positive = future), and checks connected clients again. */
  shiftTokenClock(offsetMs: number): void;
}
