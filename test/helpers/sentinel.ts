import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { findProgram } from '../../local-edge/src/services/find-server.ts';

/** A Sentinel that alone decides over the primary `mymaster`, quickly; it ends with the test. */
export async function startSentinel(t: TestContext, port: number, primaryPort: number): Promise<void> {
  const found = await findProgram('redis');
  const dir = await mkdtemp(join(tmpdir(), 'sentinel-'));
  const file = join(dir, 'sentinel.conf');
  await writeFile(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `sentinel monitor mymaster 127.0.0.1 ${primaryPort} 1`,
      'sentinel down-after-milliseconds mymaster 500',
      'sentinel failover-timeout mymaster 2000',
      '',
    ].join('\n'),
  );
  const child = spawn(found.command, [...found.args, file, '--sentinel'], {
    cwd: dir,
    stdio: 'ignore',
    env: { ...process.env, ...found.env },
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });
  const deadline = Date.now() + 20_000;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error('the Sentinel does not accept connections');
    await sleep(10);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}
