import type { Message } from 'azure-iot-device';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { SuiteError } from '../errors.ts';
import type { Log } from '../log.ts';
import { exponential } from '../retry.ts';
import type { ConnectionLimits } from './azure-connection.ts';
import { createConnection } from './azure-connection.ts';
import type { Credentials } from './azure-credentials.ts';
import type { DesiredOutcome, DesiredTracker } from './azure-desired.ts';
import { isJsonObject, parseSection, userProperties } from './azure-desired.ts';
import type { MethodAnswers } from './azure-methods.ts';
import type { AzureSettings } from './azure-settings.ts';
import type { DesiredDocument, JsonObject } from './edge.ts';

/** What stays the same from one session to the next. */
export interface SessionContext {
  readonly settings: AzureSettings;
  readonly methods: MethodAnswers;
  readonly desired: DesiredTracker;
  readonly inputs: { readonly size: number };
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly onInput: (input: string, message: Message) => void;
  readonly onDesired: (document: DesiredDocument) => void;
  readonly onReported: (reported: JsonObject) => void;
}

/** A connection with everything subscribed, the twin followed and the methods answered, until it ends; never used again. */
export interface Session {
  /** Resolves with the reason when the session has ended by itself. */
  readonly lost: Promise<SuiteError>;
  /** Resolves when methods and inputs are subscribed; the twin follows in the background, since it may take long. */
  open(): Promise<void>;
  report(patch: JsonObject): Promise<void>;
  send(output: string, message: Message): Promise<void>;
  /** Resolves when nothing is under way any more: no method without its reply, no send or report without its answer. */
  idle(signal: AbortSignal): Promise<void>;
  close(graceful: boolean): Promise<void>;
}

/** Reads in a row that could not explain the patches that came; then the next patch or connection has to. */
const MAX_GAP_READS = 5;

export function createSession(context: SessionContext, credentials: Credentials): Session {
  const { clock, desired, log, methods } = context;
  const lost = Promise.withResolvers<SuiteError>();
  const ended = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  let reading = false;
  let readAgain = false;
  let reportedDue = true;
  let isSubscribed = false;

  const connection = createConnection(
    context.settings,
    credentials,
    methods.names,
    {
      onMethod: (name, requestId, body) => void track(answer(name, requestId, body)),
      onInput: (input, message) => context.onInput(input, message),
      onDesiredPatch(patch) {
        if (parseSection(patch) === undefined) {
          unreadable('desired patch without a version');
          return;
        }
        const { incomplete } = follow(desired.patch(patch));
        // A read under way finds out by itself whether it explains the patch.
        if (incomplete && !reading) requestRead();
      },
      onUnreadable: (what) => unreadable(what),
      onDown(reason) {
        ended.abort();
        lost.resolve(reason);
      },
    },
    context.limits,
    clock,
  );

  function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work);
    const forget = (): void => void underWay.delete(work);
    work.then(forget, forget);
    return work;
  }

  async function answer(name: string, requestId: string, body: Buffer): Promise<void> {
    const { status, payload } = await methods.answer(name, requestId, body);
    try {
      await connection.reply(requestId, status, payload);
    } catch (error) {
      // edgeHub has told the caller already: it fails its requests as soon as the connection of the module ends.
      log.warn('method reply not sent', { method: name, requestId, error });
    }
  }

  function unreadable(what: string): void {
    log.warn('edgeHub sent something unreadable', { what });
    requestRead();
  }

  function follow(outcome: DesiredOutcome): DesiredOutcome {
    if (outcome.document !== undefined) context.onDesired(outcome.document);
    return outcome;
  }

  function requestRead(): void {
    readAgain = true;
    if (isSubscribed && !reading) void readTwin();
  }

  /** One loop at a time; waits longer and longer, since reads are billed and an edgeHub in trouble needs no more of it. */
  async function readTwin(): Promise<void> {
    reading = true;
    const schedule = exponential({ firstMs: 2000, maxMs: 60_000, random: context.random });
    try {
      for (let round = 1; readAgain && !ended.signal.aborted; round += 1) {
        if (round > 1) await sleep(schedule(round - 1), ended.signal, clock);
        readAgain = false;
        try {
          const twin = await connection.readTwin();
          if (reportedDue) reportedRead(twin);
          const { incomplete } = follow(desired.full(twin['desired']));
          if (incomplete) readAgain = true;
          if (incomplete && round >= MAX_GAP_READS) {
            desired.giveUpEarly();
            return;
          }
        } catch (error) {
          log.warn('reading the twin failed', { error });
          readAgain = true;
        }
      }
    } catch {
      // The session ended while waiting.
    } finally {
      reading = false;
    }
  }

  function reportedRead(twin: JsonObject): void {
    reportedDue = false;
    const reported = twin['reported'];
    context.onReported(isJsonObject(reported) ? userProperties(reported) : {});
  }

  return {
    lost: lost.promise,
    async open() {
      desired.connectionStarted();
      await connection.connect();
      // Every time, though edgeHub keeps sessions: it may have lost this one.
      await Promise.all([
        ...(methods.names.size > 0 ? [connection.subscribe('methods')] : []),
        ...(context.inputs.size > 0 ? [connection.subscribe('inputs')] : []),
        connection.subscribe('desired'),
      ]);
      // Only now: a change between an earlier read and the subscription would be lost.
      isSubscribed = true;
      requestRead();
    },
    report: (patch) => track(connection.report(patch)),
    send: (output, message) => track(connection.send(output, message)),
    async idle(signal) {
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      while (underWay.size > 0 && !signal.aborted)
        await Promise.race([Promise.allSettled(underWay), aborted]);
    },
    async close(graceful) {
      ended.abort();
      await connection.close(graceful);
    },
  };
}
