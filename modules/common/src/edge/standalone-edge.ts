import { errorText, SuiteError } from '../errors.ts';
import { applyPatch } from '../merge-patch.ts';
import type {
  DesiredDocument,
  Edge,
  EdgeIdentity,
  EdgeMessage,
  EdgeStatus,
  JsonObject,
  MethodHandler,
  MethodReply,
  MethodRequest,
} from './edge.ts';

/** The edge of a module that runs without IoT Edge, and what the outside may do to it. */
export interface StandaloneEdge extends Edge {
  readonly kind: 'standalone';
  /** What the module reported so far. */
  readonly reported: JsonObject;
  readonly methodNames: readonly string[];
  /** Undefined when no such method is registered. */
  invoke(request: MethodRequest): Promise<MethodReply | undefined>;
  /** Replaces the desired properties; their version goes up by one. */
  setDesired(properties: JsonObject): void;
  /** Hands a message to an input; undefined when nobody listens there. */
  deliver(input: string, message: EdgeMessage): Promise<void> | undefined;
}

/**
 * No IoT Edge is present: methods come in by `invoke` (the HTTP server calls it), desired properties by `setDesired`, and
 * what is reported can be read back. There is nobody to send messages to, and `send` says so.
 */
export function createStandaloneEdge(identity: EdgeIdentity): StandaloneEdge {
  const methods = new Map<string, MethodHandler>();
  const inputs = new Map<string, (message: EdgeMessage) => Promise<void>>();
  const desiredListeners: ((document: DesiredDocument) => void)[] = [];
  const statusListeners: ((status: EdgeStatus) => void)[] = [];
  const reportedListeners: ((reported: JsonObject) => void)[] = [];
  const underWay = new Set<Promise<unknown>>();
  let desired: DesiredDocument | undefined;
  let reported: JsonObject = {};
  let status: EdgeStatus = { state: 'connecting', since: new Date() };

  const become = (state: EdgeStatus['state']): void => {
    status = { state, since: new Date() };
    for (const listener of statusListeners) listener(status);
  };
  const unavailable = (doing: string, why: string): SuiteError =>
    new SuiteError('EDGE_UNAVAILABLE', `${doing}: ${why}`, { retryable: false });

  return {
    kind: 'standalone',
    identity,
    get status() {
      return status;
    },
    get reported() {
      return reported;
    },
    get methodNames() {
      return [...methods.keys()];
    },
    onMethod(name, handler) {
      if (methods.has(name))
        throw new SuiteError('INTERNAL', `registering method ${name}: already registered`);
      methods.set(name, handler);
    },
    onInput(input, handler) {
      if (inputs.has(input))
        throw new SuiteError('INTERNAL', `registering input ${input}: already registered`);
      inputs.set(input, handler);
    },
    onDesired: (listener) => void desiredListeners.push(listener),
    onStatus: (listener) => void statusListeners.push(listener),
    onReported: (listener) => void reportedListeners.push(listener),
    report(patch) {
      if (status.state !== 'connected') {
        return Promise.reject(unavailable('reporting properties', 'the module is not running'));
      }
      reported = applyPatch(reported, patch);
      return Promise.resolve();
    },
    send: (output) =>
      Promise.reject(unavailable(`sending to output ${output}`, 'there is no edgeHub in stand-alone mode')),
    async invoke(request) {
      const handler = methods.get(request.name);
      if (!handler) return undefined;
      if (status.state !== 'connected') return failure(503, `${request.name}: the module is not running`);
      const call = Promise.resolve()
        .then(() => handler(request))
        .catch((error: unknown) => failure(500, `${request.name} error: ${errorText(error)}`));
      underWay.add(call);
      try {
        return await call;
      } finally {
        underWay.delete(call);
      }
    },
    setDesired(properties) {
      desired = { properties: applyPatch({}, properties), version: (desired?.version ?? 0) + 1 };
      if (status.state !== 'connected') return;
      for (const listener of desiredListeners) listener(desired);
    },
    deliver: (input, message) => inputs.get(input)?.(message),
    start() {
      if (status.state !== 'connecting') return;
      become('connected');
      for (const listener of reportedListeners) listener(reported);
      if (desired) for (const listener of desiredListeners) listener(desired);
    },
    async stop(signal) {
      if (status.state === 'stopped') return;
      become('stopped');
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([Promise.allSettled(underWay), aborted]);
    },
  };
}

function failure(status: number, text: string): MethodReply {
  return { status, payload: { Message: text, Status: status } };
}
