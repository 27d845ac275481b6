import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { errorText, SuiteError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Schedule } from '../retry.ts';
import { deadline } from '../retry.ts';
import type { Credentials, IssueCredentials } from './azure-credentials.ts';
import { unavailable } from './azure-failures.ts';
import type { Session } from './azure-session.ts';
import type { EdgeStatus } from './edge.ts';

export interface SupervisorOptions {
  readonly issue: IssueCredentials;
  readonly createSession: (credentials: Credentials) => Session;
  readonly schedule: Schedule;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly tokenLifetimeMs: number;
  /** Only a session that lasted as long makes the next failure the first one again. */
  readonly stableMs: number;
  /** How long a planned change of session waits for what is under way. */
  readonly drainMs: number;
  onStatus(status: EdgeStatus): void;
}

export interface Supervisor {
  readonly status: EdgeStatus;
  start(): void;
  /** The session to use now; waits only while one is being exchanged for the next as planned. Rejects with EDGE_UNAVAILABLE. */
  session(what: string): Promise<Session>;
  stop(signal: AbortSignal): Promise<void>;
}

/** Sessions in a row that did not last, before the log says what that usually means. */
const SHORT_SESSIONS = 3;

/** Keeps one session: a new one after a loss, with back-off, and a new one in good time before its token expires. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, log, schedule } = options;
  const stopping = new AbortController();
  const hurry = new AbortController();
  let status: EdgeStatus = { state: 'connecting', reason: 'not started yet', since: new Date(clock.now()) };
  let current: Session | undefined;
  let exchange: PromiseWithResolvers<undefined> | undefined;
  let loop: Promise<void> | undefined;
  let failures = 0;
  let shortSessions = 0;
  let logged: string | undefined;

  function setStatus(state: EdgeStatus['state'], reason?: string): void {
    if (status.state === state && status.reason === reason) return;
    status = { state, since: new Date(clock.now()), ...(reason === undefined ? {} : { reason }) };
    options.onStatus(status);
  }

  const isStopping = (): boolean => stopping.signal.aborted;

  function endExchange(): void {
    exchange?.resolve(undefined);
    exchange = undefined;
  }

  async function open(credentials: Credentials | undefined): Promise<Session> {
    const { signal } = stopping;
    const session = options.createSession(credentials ?? (await options.issue(signal)));
    const abandon = (): void => void session.close(false);
    signal.addEventListener('abort', abandon, { once: true });
    try {
      if (signal.aborted) throw new SuiteError('STOPPED', 'connecting to edgeHub: stopped');
      await session.open();
      return session;
    } catch (error) {
      await session.close(false);
      throw error;
    } finally {
      signal.removeEventListener('abort', abandon);
    }
  }

  /** Resolves with the next credentials when the session is to be exchanged, with nothing when it was lost or is to stop. */
  async function hold(session: Session): Promise<Credentials | SuiteError | undefined> {
    const over = new AbortController();
    const end = AbortSignal.any([over.signal, stopping.signal]);
    void session.lost.then(() => over.abort());
    try {
      // Two thirds of its life, a little earlier at random, so that the modules of a device do not do it together.
      await sleep(options.tokenLifetimeMs * (2 / 3) * (0.9 + 0.1 * options.random()), end, clock);
      // First the credentials: while they cannot be had, the connection that works is kept.
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await options.issue(end);
        } catch (error) {
          if (end.aborted) throw error;
          log.warn('renewing the token failed', { error });
          await sleep(schedule(attempt), end, clock);
        }
      }
    } catch {
      return isStopping() ? undefined : await session.lost;
    } finally {
      over.abort();
    }
  }

  async function drain(session: Session): Promise<void> {
    const late = new AbortController();
    const cancel = clock.after(options.drainMs, () => late.abort());
    await session.idle(AbortSignal.any([late.signal, hurry.signal]));
    cancel();
  }

  async function run(): Promise<void> {
    let credentials: Credentials | undefined;
    while (!isStopping()) {
      try {
        if (exchange === undefined) setStatus('connecting', failures > 0 ? status.reason : undefined);
        const session = await open(credentials);
        credentials = undefined;
        const since = clock.now();
        current = session;
        connected();
        const outcome = await hold(session);
        if (outcome instanceof SuiteError) {
          current = undefined;
          if (!judge(clock.now() - since)) shortSessions += 1;
          throw outcome;
        }
        if (outcome === undefined) break;
        judge(clock.now() - since);
        credentials = outcome;
        exchange = Promise.withResolvers<undefined>();
        await drain(session);
        if (isStopping()) break;
        current = undefined;
        await session.close(true);
      } catch (error) {
        credentials = undefined;
        if (isStopping()) break;
        await failed(error);
      }
    }
  }

  function connected(): void {
    const renewed = exchange !== undefined;
    endExchange();
    if (renewed) log.debug('edgeHub connection renewed');
    else log.info('connected to edgeHub');
    logged = undefined;
    setStatus('connected');
  }

  /** A client id that two clients use makes each close the other's connection: only time without a loss counts as success. */
  function judge(lastedMs: number): boolean {
    if (lastedMs < options.stableMs) return false;
    failures = 0;
    shortSessions = 0;
    return true;
  }

  async function failed(error: unknown): Promise<void> {
    failures += 1;
    const hint =
      shortSessions >= SHORT_SESSIONS
        ? `; the last ${SHORT_SESSIONS} connections or more did not last: is there another client with the same identity?`
        : '';
    const reason = `${errorText(error)}${hint}`;
    endExchange();
    setStatus('disconnected', reason);
    const waitMs = schedule(failures);
    // Once per reason: edgeHub may be away for days.
    if (reason === logged) log.debug('not connected to edgeHub', { reason, failures, waitMs });
    else log.warn('not connected to edgeHub', { reason, failures, waitMs });
    logged = reason;
    await sleep(waitMs, stopping.signal, clock).catch(() => undefined);
  }

  async function shutDown(): Promise<void> {
    stopping.abort();
    if (current !== undefined) {
      await current.idle(hurry.signal);
      await current.close(!hurry.signal.aborted);
    }
    await loop;
    endExchange();
    setStatus('stopped');
  }

  return {
    get status() {
      return status;
    },
    start() {
      loop ??= run();
    },
    async session(what) {
      if (exchange !== undefined) {
        const late = (): SuiteError => unavailable(what, 'not connected');
        await deadline(exchange.promise, options.drainMs, undefined, late, clock);
      }
      if (current === undefined || isStopping()) {
        throw unavailable(
          what,
          status.state === 'connected' ? 'not connected' : (status.reason ?? 'not connected'),
        );
      }
      return current;
    },
    stop: stopOnce(),
  };

  function stopOnce(): (signal: AbortSignal) => Promise<void> {
    let stopped: Promise<void> | undefined;
    return (signal) => {
      const force = (): void => {
        hurry.abort();
        void current?.close(false);
      };
      if (signal.aborted) force();
      else signal.addEventListener('abort', force, { once: true });
      stopped ??= shutDown();
      return stopped.finally(() => signal.removeEventListener('abort', force));
    };
  }
}
