import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import type { Credentials } from '../../../../modules/common/src/edge/azure-credentials.ts';
import { unavailable } from '../../../../modules/common/src/edge/azure-failures.ts';
import type { Session } from '../../../../modules/common/src/edge/azure-session.ts';
import type { Supervisor } from '../../../../modules/common/src/edge/azure-supervisor.ts';
import { createSupervisor } from '../../../../modules/common/src/edge/azure-supervisor.ts';
import type { SuiteError } from '../../../../modules/common/src/errors.ts';
import { createLog } from '../../../../modules/common/src/log.ts';
import { exponential } from '../../../../modules/common/src/retry.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';

const MINUTE = 60_000;
const never = new AbortController().signal;

interface Bench {
  readonly clock: HeldClock;
  readonly supervisor: Supervisor;
  readonly events: string[];
  readonly lines: string[];
  readonly sessions: { lose(reason?: string): void; finish(): void }[];
  /** What the next attempts come to. */
  plan: { open: 'works' | 'fails' | 'hangs'; issue: 'works' | 'fails'; busy: boolean };
}

/** The supervisor with sessions that do nothing: only its own decisions are looked at here. */
function bench(random = 0.5): Bench {
  const clock = createHeldClock();
  const events: string[] = [];
  const lines: string[] = [];
  const sessions: Bench['sessions'] = [];
  const plan: Bench['plan'] = { open: 'works', issue: 'works', busy: false };

  const createSession = (credentials: Credentials): Session => {
    const number = sessions.length + 1;
    const lost = Promise.withResolvers<SuiteError>();
    const idle = Promise.withResolvers<undefined>();
    const closed = Promise.withResolvers<never>();
    const { open, busy } = plan;
    sessions.push({
      lose: (reason = 'closed by edgeHub') => lost.resolve(unavailable('keeping the connection', reason)),
      finish: () => idle.resolve(undefined),
    });
    return {
      lost: lost.promise,
      async open() {
        events.push(`open ${number} with ${credentials.token}`);
        if (open === 'fails') throw unavailable('connecting to edgeHub', 'refused');
        if (open === 'hangs') await closed.promise;
      },
      report: () => Promise.resolve(events.push(`report ${number}`)).then(() => undefined),
      send: () => Promise.resolve(),
      async idle(signal) {
        if (busy)
          await Promise.race([
            idle.promise,
            new Promise((resolve) => signal.addEventListener('abort', resolve)),
          ]);
        events.push(`idle ${number}`);
      },
      close(graceful) {
        events.push(`close ${number}${graceful ? '' : ' at once'}`);
        closed.reject(unavailable('connecting to edgeHub', 'closed'));
        closed.promise.catch(() => undefined);
        return Promise.resolve();
      },
    };
  };

  let tokens = 0;
  const supervisor = createSupervisor({
    issue() {
      if (plan.issue === 'fails') return Promise.reject(unavailable('asking the workload API', 'status 500'));
      tokens += 1;
      return Promise.resolve({ token: `token ${tokens}`, ca: undefined });
    },
    createSession,
    schedule: exponential({ firstMs: 1000, maxMs: MINUTE, random: () => 0.5 + random / 2 }),
    clock,
    random: () => random,
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
    tokenLifetimeMs: 60 * MINUTE,
    stableMs: MINUTE,
    drainMs: 30_000,
    onStatus: ({ state }) => void events.push(state),
  });
  return { clock, supervisor, events, lines, sessions, plan };
}

const count = (events: readonly string[], start: string): number =>
  events.filter((event) => event.startsWith(start)).length;

test('edgeHub not up for an hour: the attempts go on at a bounded rate, one timer waits, then it connects', async () => {
  for (const random of [0, 0.999]) {
    const { clock, supervisor, events, sessions, plan, lines } = bench(random);
    plan.open = 'fails';
    supervisor.start();
    await clock.advance(60 * MINUTE);
    const attempts = sessions.length;
    assert.ok(attempts >= 60 && attempts <= 130, `${attempts} attempts`);
    assert.equal(clock.pending, 1);
    assert.equal(supervisor.status.reason, 'connecting to edgeHub: refused');
    assert.equal(
      lines.filter((line) => line.includes('[WRN]')).length,
      1,
      'one warning, not one for each attempt',
    );
    plan.open = 'works';
    await clock.advance(MINUTE);
    assert.equal(supervisor.status.state, 'connected');
    assert.equal(count(events, 'connected'), 1);
    await supervisor.stop(never);
    assert.equal(clock.pending, 0);
  }
});

test('a loss after a long time is followed by a new session within a second', async () => {
  const { clock, supervisor, sessions } = bench(0.999);
  supervisor.start();
  await clock.advance(2 * MINUTE);
  sessions[0]?.lose();
  await clock.advance(1000);
  assert.equal(sessions.length, 2);
  assert.equal(supervisor.status.state, 'connected');
  await supervisor.stop(never);
});

test('duplicate client id: losses soon after connecting make the waits longer, and the log says what that may mean', async () => {
  const { clock, supervisor, sessions, lines } = bench();
  supervisor.start();
  await clock.advance(0);
  let fought = 0;
  for (let second = 0; second < 600; second += 1) {
    if (supervisor.status.state === 'connected') {
      sessions.at(-1)?.lose();
      fought += 1;
    }
    await clock.advance(1000);
  }
  assert.ok(fought <= 20, `${fought} connections in ten minutes`);
  assert.ok(lines.some((line) => line.includes('another client with the same identity')));
  await supervisor.stop(never);
});

test('token renewal: before two thirds of the life of the token the session is exchanged, without a change of status', async () => {
  const { clock, supervisor, events, plan } = bench();
  supervisor.start();
  await clock.advance(35 * MINUTE);
  assert.equal(count(events, 'open'), 1);
  plan.busy = false;
  await clock.advance(5 * MINUTE);
  assert.deepEqual(events, [
    'connecting',
    'open 1 with token 1',
    'connected',
    'idle 1',
    'close 1',
    'open 2 with token 2',
  ]);
  await supervisor.stop(never);
});

test('token renewal: what is under way ends first, and what comes meanwhile waits for the new session', async () => {
  const { clock, supervisor, events, plan, sessions } = bench();
  plan.busy = true;
  supervisor.start();
  await clock.advance(38 * MINUTE + 10_000);
  assert.equal(count(events, 'close'), 0);
  plan.busy = false;
  const report = supervisor.session('reporting properties').then((session) => session.report({}));
  await setImmediate();
  assert.equal(count(events, 'report'), 0);
  sessions[0]?.finish();
  await report;
  assert.deepEqual(events.slice(-4), ['idle 1', 'close 1', 'open 2 with token 2', 'report 2']);
  await supervisor.stop(never);
});

test('token renewal: a method that never ends holds it up for half a minute only', async () => {
  const { clock, supervisor, events, plan } = bench();
  plan.busy = true;
  supervisor.start();
  await clock.advance(38 * MINUTE);
  plan.busy = false;
  await clock.advance(2 * MINUTE);
  assert.equal(count(events, 'open 2'), 1);
  await supervisor.stop(never);
});

test('token renewal: while no token can be had the connection that works is kept', async () => {
  const { clock, supervisor, events, plan } = bench();
  supervisor.start();
  await clock.advance(30 * MINUTE);
  plan.issue = 'fails';
  await clock.advance(20 * MINUTE);
  assert.equal(supervisor.status.state, 'connected');
  assert.equal(count(events, 'close'), 0);
  plan.issue = 'works';
  await clock.advance(2 * MINUTE);
  assert.equal(count(events, 'open 2'), 1);
  await supervisor.stop(never);
});

test('workload API failing: it is asked again with pauses until it answers', async () => {
  const { clock, supervisor, plan } = bench();
  plan.issue = 'fails';
  supervisor.start();
  await clock.advance(5 * MINUTE);
  assert.match(supervisor.status.reason ?? '', /status 500/);
  plan.issue = 'works';
  await clock.advance(MINUTE);
  assert.equal(supervisor.status.state, 'connected');
  await supervisor.stop(never);
});

test('without a session the caller is refused at once, with the reason', async () => {
  const { clock, supervisor, plan } = bench();
  plan.open = 'fails';
  supervisor.start();
  await clock.advance(10);
  await assert.rejects(supervisor.session('reporting properties'), {
    code: 'EDGE_UNAVAILABLE',
    message: 'reporting properties: connecting to edgeHub: refused',
  });
  await supervisor.stop(never);
  await assert.rejects(supervisor.session('reporting properties'), { code: 'EDGE_UNAVAILABLE' });
});

test('stopping while a connection is being made gives it up', async () => {
  const { clock, supervisor, plan, events } = bench();
  plan.open = 'hangs';
  supervisor.start();
  await clock.advance(100);
  await supervisor.stop(never);
  assert.equal(supervisor.status.state, 'stopped');
  assert.ok(events.includes('close 1 at once'));
  assert.equal(clock.pending, 0);
});

test('stopping waits for what is under way, until its signal says now', async () => {
  const { clock, supervisor, plan, events } = bench();
  plan.busy = true;
  supervisor.start();
  await clock.advance(0);
  const abort = new AbortController();
  let stopped = false;
  const stop = supervisor.stop(abort.signal).then(() => (stopped = true));
  const again = supervisor.stop(never);
  await clock.advance(60 * MINUTE);
  assert.equal(stopped, false);
  abort.abort();
  await stop;
  await again;
  assert.ok(events.includes('close 1 at once'));
  assert.equal(events.filter((event) => event === 'stopped').length, 1);
});

test('an edge that was never started can be stopped', async () => {
  const { supervisor } = bench();
  await supervisor.stop(never);
  assert.equal(supervisor.status.state, 'stopped');
  supervisor.start();
  assert.equal(supervisor.status.state, 'stopped');
});
