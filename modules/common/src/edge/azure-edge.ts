import type { Message } from 'azure-iot-device';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { SuiteError } from '../errors.ts';
import type { Log } from '../log.ts';
import { exponential } from '../retry.ts';
import type { ConnectionLimits } from './azure-connection.ts';
import { createCredentialIssuer } from './azure-credentials.ts';
import { createDesiredTracker } from './azure-desired.ts';
import { fromSdkMessage, toSdkMessage } from './azure-message.ts';
import { createMethodAnswers } from './azure-methods.ts';
import { checkReportedPatch } from './azure-reported.ts';
import { createSession } from './azure-session.ts';
import type { Environment } from './azure-settings.ts';
import { readAzureSettings } from './azure-settings.ts';
import { createSupervisor } from './azure-supervisor.ts';
import type { DesiredDocument, Edge, EdgeMessage, EdgeStatus, JsonObject } from './edge.ts';

export interface AzureEdgeOptions {
  readonly environment: Environment;
  readonly log: Log;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly tokenLifetimeMs?: number;
  readonly limits?: Partial<ConnectionLimits>;
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  readonly stableMs?: number;
  readonly drainMs?: number;
}

/** With a ping every 15 s a silent peer is noticed within 30 s; the SDK's default would need 6 minutes. */
export const AZURE_LIMITS: ConnectionLimits = {
  connectMs: 20_000,
  answerMs: 20_000,
  sendMs: 30_000,
  closeMs: 2000,
  keepaliveSeconds: 15,
};

/** One hour, as the SDK's tokens; edgeHub looks at them every five minutes and drops a connection whose token has expired. */
const TOKEN_LIFETIME_MS = 60 * 60 * 1000;
const WORKLOAD_TIMEOUT_MS = 10_000;

/** The edge port over edgeHub. Throws a ConfigError when the environment is not that of a module under IoT Edge. */
export function createAzureEdge(options: AzureEdgeOptions): Edge {
  const { environment, log, clock = systemClock, random = Math.random } = options;
  const settings = readAzureSettings(environment);
  const limits = { ...AZURE_LIMITS, ...options.limits };
  const tokenLifetimeMs = options.tokenLifetimeMs ?? TOKEN_LIFETIME_MS;
  const drainMs = options.drainMs ?? 30_000;

  const methods = createMethodAnswers(log);
  const desired = createDesiredTracker();
  const inputs = new Map<string, (message: EdgeMessage) => Promise<void>>();
  const onDesired = createListeners<DesiredDocument>(log, 'desired properties');
  const onReported = createListeners<JsonObject>(log, 'reported properties');
  const onStatus = createListeners<EdgeStatus>(log, 'status');
  let started = false;

  const context = {
    settings,
    methods,
    desired,
    inputs,
    limits,
    clock,
    log,
    random,
    onInput: (input: string, message: Message) => void take(input, message),
    onDesired: onDesired.call,
    onReported: onReported.call,
  };

  const supervisor = createSupervisor({
    issue: createCredentialIssuer(settings, {
      clock,
      lifetimeMs: tokenLifetimeMs,
      timeoutMs: WORKLOAD_TIMEOUT_MS,
    }),
    createSession: (credentials) => createSession(context, credentials),
    // Half of each wait is fixed: a refusing edgeHub must not be asked without any pause.
    schedule: exponential({
      ...(options.backoff ?? { firstMs: 1000, maxMs: 60_000 }),
      random: () => 0.5 + random() / 2,
    }),
    clock,
    random,
    log,
    tokenLifetimeMs,
    stableMs: options.stableMs ?? 60_000,
    drainMs,
    onStatus: onStatus.call,
  });

  /** The SDK has acknowledged the message by now, so a handler's failure can only be told. */
  async function take(input: string, message: Message): Promise<void> {
    const handler = inputs.get(input);
    if (handler === undefined) {
      log.warn('message for an input that the module does not have', { input });
      return;
    }
    try {
      await handler(fromSdkMessage(message));
    } catch (error) {
      log.error('message not processed', { input, error });
    }
  }

  function beforeStart(what: string): void {
    if (started) throw new SuiteError('INTERNAL', `registering ${what}: the edge has been started already`);
  }

  return {
    kind: 'azure',
    identity: { deviceId: settings.deviceId, moduleId: settings.moduleId },
    get status() {
      return supervisor.status;
    },
    onMethod(name, handler) {
      beforeStart(`method ${name}`);
      methods.register(name, handler);
    },
    onInput(input, handler) {
      beforeStart(`input ${input}`);
      if (inputs.has(input))
        throw new SuiteError('INTERNAL', `registering input ${input}: there is a handler already`);
      inputs.set(input, handler);
    },
    onDesired: onDesired.add,
    onStatus: onStatus.add,
    onReported: onReported.add,
    async report(patch) {
      checkReportedPatch(patch);
      const session = await supervisor.session('reporting properties');
      await session.report(patch);
    },
    async send(output, message) {
      const sdkMessage = toSdkMessage(output, message, `${settings.deviceId}/${settings.moduleId}`);
      const session = await supervisor.session(`sending to ${output}`);
      await session.send(output, sdkMessage);
    },
    start() {
      if (started) return;
      started = true;
      supervisor.start();
    },
    stop(signal) {
      started = true;
      methods.close();
      return supervisor.stop(signal);
    },
  };
}

interface Listeners<T> {
  readonly add: (listener: (value: T) => void) => void;
  readonly call: (value: T) => void;
}

/** A listener that throws must neither end the process nor keep the next one from being called. */
function createListeners<T>(log: Log, what: string): Listeners<T> {
  const listeners: ((value: T) => void)[] = [];
  return {
    add: (listener) => void listeners.push(listener),
    call(value) {
      for (const listener of listeners) {
        try {
          listener(value);
        } catch (error) {
          log.error('listener failed', { listener: what, error });
        }
      }
    },
  };
}
