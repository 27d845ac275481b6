import { Mqtt } from 'azure-iot-device-mqtt';
import iot from 'azure-iot-device';
import type { Message } from 'azure-iot-device';
import type { Clock } from '../clock.ts';
import { errorText, SuiteError } from '../errors.ts';
import { deadline } from '../retry.ts';
import type { Credentials } from './azure-credentials.ts';
import { describeFailure, describeLoss, unavailable } from './azure-failures.ts';
import { GuardedMqtt } from './azure-guard.ts';
import type { AzureSettings } from './azure-settings.ts';
import { createTokenProvider } from './azure-token-provider.ts';
import type { JsonObject } from './edge.ts';

export interface ConnectionEvents {
  /** A request for a method by its exact name; the body is what came, empty when nothing did. */
  onMethod(name: string, requestId: string, body: Buffer): void;
  onInput(input: string, message: Message): void;
  onDesiredPatch(patch: unknown): void;
  /** A message that the SDK could not take; something may have been missed. */
  onUnreadable(what: string): void;
  /** Once, after `connect` has resolved: the connection is of no more use. */
  onDown(reason: SuiteError): void;
}

export interface ConnectionLimits {
  /** TCP, TLS and CONNACK together. */
  readonly connectMs: number;
  /** SUBACK, twin answers. */
  readonly answerMs: number;
  /** PUBACK. */
  readonly sendMs: number;
  readonly closeMs: number;
  readonly keepaliveSeconds: number;
}

/** After so many operations in a row without an answer the connection counts as dead, though the peer may still answer pings. */
const MAX_UNANSWERED = 3;

/** Counted apart: an edgeHub that answers one kind may have lost its way for the other. */
type Kind = 'connection' | 'twin' | 'message' | 'method';

type Callback<T> = (error?: Error | null, result?: T) => void;

/**
 * One MQTT connection to edgeHub, used once: connect, use, close. It drives the SDK's transport without the SDK's client,
 * whose retries, reconnects, cached twin and token renewal are what loses subscriptions and patches.
 */
export interface Connection {
  connect(): Promise<void>;
  subscribe(what: 'methods' | 'inputs' | 'desired'): Promise<void>;
  readTwin(): Promise<JsonObject>;
  report(patch: JsonObject): Promise<void>;
  send(output: string, message: Message): Promise<void>;
  reply(requestId: string, status: number, payload: unknown): Promise<void>;
  /** Graceful sends DISCONNECT first; either way, and at once on a second call, the socket is closed for certain. */
  close(graceful: boolean): Promise<void>;
}

export function createConnection(
  settings: AzureSettings,
  credentials: Credentials,
  methods: ReadonlySet<string>,
  events: ConnectionEvents,
  limits: ConnectionLimits,
  clock: Clock,
): Connection {
  let connected = false;
  let closed = false;
  const unanswered = new Map<Kind, number>();
  let unacknowledged = 0;
  const ended = new AbortController();
  const isOver = (): boolean => ended.signal.aborted || closed;

  const guard = new GuardedMqtt(
    {
      onMethodRequest: (name, requestId) => {
        if (methods.has(name)) return false;
        events.onMethod(name, requestId, Buffer.alloc(0));
        return true;
      },
      onUnreadable: (what) => events.onUnreadable(what),
    },
    limits.connectMs,
  );
  const transport = new Mqtt(createTokenProvider(settings, credentials.token), guard);
  // Together, since every call replaces all options; without `ca` the next TLS handshake would fail.
  transport.setOptions({
    keepalive: limits.keepaliveSeconds,
    ...(credentials.ca === undefined ? {} : { ca: credentials.ca }),
  });

  const down = (reason: SuiteError): void => {
    if (ended.signal.aborted) return;
    ended.abort(reason);
    guard.destroy();
    if (connected && !closed) events.onDown(reason);
  };

  // Listeners before CONNECT: a restored session delivers methods and inputs before the first SUBSCRIBE, and the SDK
  // acknowledges an input that nobody listens for.
  transport.on('error', (error: Error) => down(unavailable('keeping the connection', error.message, error)));
  transport.on('disconnect', (error?: Error) => {
    if (connected)
      down(
        unavailable('keeping the connection', describeLoss(guard.lastError, guard.isPingUnanswered), error),
      );
  });
  transport.on('inputMessage', (input: string, message: Message) => events.onInput(input, message));
  transport.on('twinDesiredPropertiesUpdate', (patch: unknown) => events.onDesiredPatch(patch));
  for (const name of methods) {
    transport.onDeviceMethod(name, ({ requestId, body }) => events.onMethod(name, requestId, body));
  }

  /** Settles by the SDK's callback, the time limit, or the end of the connection, whichever comes first. */
  async function operate<T>(
    kind: Kind,
    what: string,
    limitMs: number,
    run: (done: Callback<T>) => void,
  ): Promise<T | undefined> {
    if (isOver()) throw unavailable(what, 'not connected');
    const answer = new Promise<T | undefined>((resolve, reject) => {
      run((error, result) => {
        if (error) reject(error instanceof SuiteError ? error : unavailable(what, errorText(error), error));
        else resolve(result);
      });
    });
    const waiting = { isOver: false };
    const late = (): SuiteError => {
      waiting.isOver = true;
      return unavailable(what, `no answer within ${limitMs} ms`);
    };
    try {
      const result = await deadline(answer, limitMs, ended.signal, late, clock);
      unanswered.delete(kind);
      return result;
    } catch (error) {
      if (isOver()) throw unavailable(what, 'the connection was lost', ended.signal.reason);
      if (waiting.isOver) countUnanswered(kind);
      throw error;
    }
  }

  function countUnanswered(kind: Kind): void {
    const count = (unanswered.get(kind) ?? 0) + 1;
    unanswered.set(kind, count);
    if (count < MAX_UNANSWERED) return;
    down(unavailable('keeping the connection', `${count} ${kind} operations in a row without an answer`));
  }

  /** Runs inside of the SDK's callback, where the status of the answer is known. */
  const refused = (what: string, error: Error | null | undefined): Error | null | undefined => {
    const status = guard.twinStatus;
    if (!error || status === undefined) return error;
    return status >= 500
      ? unavailable(what, `edgeHub answered with status ${status}`)
      : new SuiteError('EDGE_REFUSED', `${what}: edgeHub answered with status ${status}`);
  };

  return {
    async connect() {
      try {
        await operate<unknown>('connection', 'connecting to edgeHub', limits.connectMs, (done) =>
          transport.connect(done),
        );
        connected = true;
      } catch (error) {
        guard.destroy();
        ended.abort();
        const real = guard.lastError;
        throw real === undefined ? error : unavailable('connecting to edgeHub', describeFailure(real), real);
      }
    },
    async subscribe(what) {
      await operate<undefined>('connection', `subscribing to ${what}`, limits.answerMs, (done) => {
        if (what === 'methods') transport.enableMethods(done);
        else if (what === 'inputs') transport.enableInputMessages(done);
        else transport.enableTwinDesiredPropertiesUpdates(done);
      });
    },
    async readTwin() {
      const what = 'reading the twin';
      const twin = await operateTwin<unknown>(what, (done) => transport.getTwin(done));
      if (typeof twin !== 'object' || twin === null) throw unavailable(what, 'the answer is empty');
      return twin as JsonObject;
    },
    async report(patch) {
      const what = 'reporting properties';
      await operateTwin<undefined>(what, (done) => transport.updateTwinReportedProperties(patch, done));
    },
    async send(output, message) {
      // What failed stays counted, as it stays in mqtt.js's store: a graceful close would wait for its PUBACK.
      unacknowledged += 1;
      guard.gatherWrites();
      await operate<unknown>('message', `sending to ${output}`, limits.sendMs, (done) =>
        transport.sendOutputEvent(output, message, done),
      );
      unacknowledged -= 1;
    },
    async reply(requestId, status, payload) {
      guard.gatherWrites();
      await operate<unknown>('method', 'answering a method', limits.answerMs, (done) => {
        new iot.DeviceMethodResponse(requestId, transport).send(status, payload, done);
      });
    },
    async close(graceful) {
      const first = !closed;
      closed = true;
      if (first && graceful && connected && !ended.signal.aborted && unacknowledged === 0) {
        const disconnected = new Promise<void>((resolve) => transport.disconnect(() => resolve()));
        const late = (): SuiteError => unavailable('closing the connection', 'no answer');
        await deadline(disconnected, limits.closeMs, undefined, late, clock).catch(() => undefined);
      }
      ended.abort();
      guard.destroy();
    },
  };

  function operateTwin<T>(what: string, run: (done: Callback<T>) => void): Promise<T | undefined> {
    return operate<T>('twin', what, limits.answerMs, (done) =>
      run((error, result) => done(refused(what, error), result)),
    );
  }
}
