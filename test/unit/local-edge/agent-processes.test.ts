import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { LaunchPlan } from '../../../local-edge/src/agent/launch-plan.ts';
import { ModuleLog } from '../../../local-edge/src/agent/module-log.ts';
import { startProcess } from '../../../local-edge/src/agent/module-process.ts';
import { ProcessRecords, startTimeOf } from '../../../local-edge/src/agent/process-records.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'processes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function sleeper(t: TestContext, script = 'sleep 60'): Promise<number> {
  const child = spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  return once(child, 'spawn').then(() => child.pid ?? 0);
}

test('tells a process from a later one with the same id', async (t) => {
  const pid = await sleeper(t);
  const time = startTimeOf(pid);
  assert(time !== null && time !== '');
  assert.equal(startTimeOf(pid), time);
  assert.equal(startTimeOf(2 ** 22 + 1), null);
});

test('ends what an earlier run left behind, with SIGKILL where SIGTERM is not enough', async (t) => {
  const dir = folder(t);
  const records = new ProcessRecords(dir);
  const gentle = await sleeper(t);
  const stubborn = await sleeper(t, 'trap "" TERM; while :; do sleep 0.05; done');
  records.add('gentle', gentle);
  records.add('stubborn', stubborn);
  const names = await new ProcessRecords(dir).reap(300);
  assert.deepEqual(names.sort(), ['gentle', 'stubborn']);
  for (let attempt = 0; attempt < 100 && startTimeOf(stubborn) !== null; attempt++)
    await new Promise((r) => setTimeout(r, 10));
  assert.deepEqual([startTimeOf(gentle), startTimeOf(stubborn)], [null, null]);
  assert.deepEqual(readdirSync(dir), []);
});

test('leaves alone a process that merely has the id of an earlier one, and files that make no sense', async (t) => {
  const dir = folder(t);
  const pid = await sleeper(t);
  writeFileSync(join(dir, 'a.process.json'), JSON.stringify({ pid, startTime: '1' }));
  writeFileSync(join(dir, 'b.process.json'), 'nonsense');
  assert.deepEqual(await new ProcessRecords(dir).reap(100), []);
  assert.notEqual(startTimeOf(pid), null);
});

function plan(script: string, more: Partial<LaunchPlan> = {}): LaunchPlan {
  return {
    command: 'sh',
    args: ['-c', script],
    env: { PATH: '/usr/bin:/bin' },
    cwd: tmpdir(),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 200,
    healthcheck: null,
    exec: { env: {}, words: (words) => words },
    notes: [],
    without: [],
    registersPorts: false,
    ...more,
  };
}

const endings: readonly (readonly [string, string, number])[] = [
  ['its code', 'exit 3', 3],
  ['128 and the signal that ended it', 'kill -9 $$', 137],
];
for (const [title, script, code] of endings) {
  test(`answers ${title}`, async (t) => {
    const process = await startProcess(plan(script), new ModuleLog(join(folder(t), 'm.log')));
    assert.equal(await process.ended, code);
  });
}

test('keeps what a process prints, up to its last line without an end', async (t) => {
  const log = new ModuleLog(join(folder(t), 'm.log'));
  await (
    await startProcess(plan('echo out; echo err >&2; printf rest'), log)
  ).ended;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(
    log
      .read()
      .map((line) => line.text)
      .sort(),
    ['err', 'out', 'rest'],
  );
});

test('stops by the stop signal, and by SIGKILL when the time is over', async (t) => {
  const log = new ModuleLog(join(folder(t), 'm.log'));
  const polite = await startProcess(
    plan('trap "exit 5" INT; while :; do sleep 0.01; done', { stopSignal: 'SIGINT' }),
    log,
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  await polite.stop();
  assert.equal(await polite.ended, 5);
  const stubborn = await startProcess(plan('trap "" TERM; while :; do sleep 0.01; done'), log);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await stubborn.stop();
  assert.equal(await stubborn.ended, 137);
});

test('ends the children of a process with it, as a container does', async (t) => {
  const log = new ModuleLog(join(folder(t), 'm.log'));
  const process = await startProcess(plan('sleep 60 & echo $!; exit 0'), log);
  await process.ended;
  const child = Number(log.read()[0]?.text);
  assert(child > 1);
  // A busy machine takes its time to end it, and to forget it.
  for (const deadline = Date.now() + 5000; startTimeOf(child) !== null && Date.now() < deadline;)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(startTimeOf(child), null);
});

test('rejects when a program cannot be started', async (t) => {
  const log = new ModuleLog(join(folder(t), 'm.log'));
  await assert.rejects(startProcess(plan('', { command: '/no/such/program' }), log), /ENOENT/);
});
