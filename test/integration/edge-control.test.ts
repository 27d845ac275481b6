import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import type { CommandFixture } from '../helpers/edge-command.ts';
import { startForCommand } from '../helpers/edge-command.ts';

describe('the edge command against the control socket', () => {
  let fixture: CommandFixture;
  const done: string[] = [];

  before(async () => {
    fixture = await startForCommand();
    fixture.service.hub.identities.add('worker');
    fixture.service.hub.attach({
      invoke: () => Promise.resolve({ kind: 'notOnline' }),
      drop: (how, moduleId) => done.push(`drop ${how} ${moduleId ?? 'all'}`),
      loseSessions: () => done.push('lose sessions'),
      recheckTokens: () => done.push('recheck'),
      forget: () => undefined,
    });
  });
  after(() => fixture.stop());

  function addEvent(moduleId: string, body: string, system: Record<string, string> = {}): void {
    fixture.service.hub.events.add({
      enqueuedTime: '2026-01-31T12:00:00.000Z',
      deviceId: 'dev-1',
      moduleId,
      output: 'out',
      system,
      application: { kind: 'test' },
      body: Buffer.from(body),
    });
  }

  it('listens for this user only', () => {
    assert.equal(statSync(join(fixture.root, 'control.sock')).mode & 0o777, 0o600);
  });

  it('lists the modules in columns', async () => {
    const { code, stdout } = await fixture.edge('list');
    assert.equal(code, 0);
    assert.equal(
      stdout,
      'NAME     STATUS   DESCRIPTION         CONFIG\n' +
        'edgeHub  running  Up a minute         edgehub:1.5\n' +
        'worker   backoff  next start in 20 s  worker:1\n',
    );
  });

  it('prints the log of a module, or its end', async () => {
    assert.equal((await fixture.edge('logs', 'worker')).stdout, 'one\ntwo\nthree\n');
    assert.equal((await fixture.edge('logs', 'worker', '--tail', '1')).stdout, 'three\n');
    const unknown = await fixture.edge('logs', 'wroker');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no module wroker; there are edgeHub, worker/);
  });

  it('runs a command beside the program of a module, flags and all, and exits as it does', async () => {
    const asked: unknown[] = [];
    const run = (command: unknown): Promise<number> => {
      asked.push(command);
      return Promise.resolve(3);
    };
    const result = await fixture.run(['exec', 'worker', 'sh', '-c', 'x', '--help', '--', '-5'], { run });
    assert.deepEqual(
      [result.code, result.stderr, asked],
      [3, '', [{ words: ['sh', '-c', 'x', '--help', '--', '-5', 'in worker'], env: { A: '1' }, cwd: '/' }]],
    );
    assert.match((await fixture.edge('exec', 'wroker', 'sh')).stderr, /no module wroker/);
    assert.equal((await fixture.edge('exec', 'worker')).code, 2);
    assert.match((await fixture.edge('exec', '--help')).stdout, /edge exec NAME COMMAND/);
  });

  it('follows a log until it is interrupted, and exits with 0', async () => {
    const interrupt = new AbortController();
    let stdout = '';
    const running = fixture.run(['logs', '-f', 'worker'], {
      signal: interrupt.signal,
      stdout: (text) => (stdout += text),
    });
    while (!stdout.includes('three')) await delay(5);
    interrupt.abort();
    assert.equal((await running).code, 0);
  });

  it('restarts a module and passes on why one cannot be', async () => {
    assert.equal((await fixture.edge('restart', 'worker')).code, 0);
    assert.deepEqual(fixture.agent.restarted, ['worker']);
    const refused = await fixture.edge('restart', 'edgeHub');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /edgeHub is part of the local edge/);
  });

  it('prints events in the shape of az until the wanted number has come', async () => {
    const interrupt = new AbortController();
    const notices: string[] = [];
    const running = fixture.run(['monitor-events', '-m', 'worker', '--props', 'sys', 'app', '--mc', '2'], {
      signal: interrupt.signal,
      stderr: (text) => notices.push(text),
    });
    while (notices.length === 0) await delay(5);
    addEvent('other', '{}');
    addEvent('worker', '{"t": 1}', { contentType: 'application/json' });
    addEvent('worker', 'text');
    const { code, stdout } = await running;
    assert.equal(code, 0);
    const event = { origin: 'dev-1', module: 'worker', interface: '', component: '' };
    const first = {
      event: {
        ...event,
        properties: { system: { content_type: 'application/json' }, application: { kind: 'test' } },
        payload: { t: 1 },
      },
    };
    const second = {
      event: { ...event, properties: { system: {}, application: { kind: 'test' } }, payload: 'text' },
    };
    assert.equal(stdout, `${JSON.stringify(first, null, 4)}\n${JSON.stringify(second, null, 4)}\n`);
  });

  it('ends monitoring after the silence that it was given', async () => {
    const { code } = await fixture.edge('monitor-events', '-t', '1');
    assert.equal(code, 0);
  });

  it('shows and sets faults, all or none', async () => {
    const off = JSON.parse((await fixture.edge('faults')).stdout) as Record<string, unknown>;
    assert.equal(off['connack'], null);
    assert.equal(off['stall'], false);
    const { code, stdout } = await fixture.edge('faults', 'stall=on', 'connack=5');
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as Record<string, unknown>)['connack'], 5);
    assert.equal(fixture.service.hub.faults.stall, true);
    const wrong = await fixture.edge('faults', 'stall=off', 'stal=on');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /no fault stal; there are connack, refuse, stall/);
    assert.equal(fixture.service.hub.faults.stall, true, 'nothing is set when one is wrong');
    await fixture.edge('faults', 'stall=off', 'connack=off');
    assert.equal(fixture.service.hub.faults.stall, false);
    assert.equal(fixture.service.hub.faults.connack, null);
  });

  it('drops connections, loses sessions and moves the clock of tokens', async () => {
    assert.equal((await fixture.edge('faults', '--drop', 'rst', '-m', 'worker')).code, 0);
    assert.equal((await fixture.edge('faults', '--lose-sessions', '--token-clock', '-60')).code, 0);
    assert.deepEqual(done, ['drop rst worker', 'lose sessions', 'recheck']);
    assert.ok(fixture.service.hub.tokenNow() < Date.now() - 59_000);
    const wrong = await fixture.edge('faults', '--drop', 'slam');
    assert.match(wrong.stderr, /how must be fin or rst/);
  });

  it('prints exports for service clients, with the preload as long as 443 is not bound', async () => {
    const { stdout } = await fixture.edge('env');
    assert.match(
      stdout,
      /^export IOTHUB_CONNECTION_STRING='HostName=localhost;SharedAccessKeyName=iothubowner;/m,
    );
    assert.match(stdout, /^export IOTHUB_CONNECTION_STRING_WITH_PORT='HostName=localhost:\d+;/m);
    assert.match(stdout, /^export NODE_EXTRA_CA_CERTS='/m);
    assert.match(stdout, /^# REQUESTS_CA_BUNDLE='/m);
    assert.match(
      stdout,
      /^export NODE_OPTIONS='--import=file:.*service-preload\.js\?host=localhost&port=\d+'$/m,
    );
    fixture.writeHubFacts({ httpsPort: 443 });
    assert.doesNotMatch((await fixture.edge('env')).stdout, /NODE_OPTIONS/);
    fixture.writeHubFacts();
  });

  it('registers a module by name and prints its environment, quoted for a shell', async () => {
    const { code, stdout, stderr } = await fixture.edge('module-env', 'mine');
    assert.equal(code, 0);
    assert.equal(stdout, `export IOTEDGE_MODULEID='mine'\nexport ODD='it'\\''s'\n`);
    assert.equal(stderr, '');
    assert.ok(fixture.service.hub.identities.get('mine'));
  });

  it('warns that other SDKs fix the port 8883 when edgeHub has another', async () => {
    fixture.writeHubFacts({ edgeHubPort: 9883 });
    const { code, stderr } = await fixture.edge('module-env', 'mine');
    assert.equal(code, 0);
    assert.match(stderr, /edgeHub listens on port 9883, not on 8883.*other languages fix 8883/);
    fixture.writeHubFacts();
  });

  it('asks the local edge to stop and waits for its end', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)']);
    await once(child, 'spawn');
    fixture.writeHubFacts({ pid: child.pid ?? 0 });
    fixture.onStop(() => child.kill());
    const { code, stdout } = await fixture.edge('stop');
    assert.equal(code, 0);
    assert.equal(stdout, 'The local edge has stopped.\n');
    assert.notEqual(child.signalCode, null, 'it had ended before the command did');
    fixture.writeHubFacts();
  });

  it('says so when nobody answers on the control socket', async () => {
    fixture.writeHubFacts({ controlSocket: join(fixture.root, 'gone.sock') });
    const { code, stderr } = await fixture.edge('list');
    assert.equal(code, 1);
    assert.match(stderr, /does not answer on .*gone\.sock/);
    fixture.writeHubFacts();
  });
});
