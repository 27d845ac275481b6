import { deepEqual, equal, match } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, startRedis } from '../helpers/redis.ts';

const MAIN = fileURLToPath(new URL('../../modules/redis-client/src/main.ts', import.meta.url));

interface Module {
  post(method: string, body: string): Promise<{ status: number; body: unknown }>;
  ready(): Promise<number>;
  stop(): Promise<number | null>;
  output(): string;
}

async function startModule(t: TestContext, environment: Readonly<Record<string, string>>): Promise<Module> {
  const port = await freePort();
  const child = spawn(process.execPath, ['--conditions=source', MAIN], {
    env: { PATH: process.env['PATH'], HTTP_HOST: '127.0.0.1', HTTP_PORT: String(port), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const url = `http://127.0.0.1:${port}`;
  while (child.exitCode === null && !(await fetch(`${url}/healthz`).catch(() => undefined))?.ok)
    await sleep(20);
  return {
    async post(method, body) {
      const response = await fetch(`${url}/methods/${method}`, { method: 'POST', body });
      return { status: response.status, body: await response.json() };
    },
    ready: async () => (await fetch(`${url}/readyz`)).status,
    async stop() {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
      return child.exitCode;
    },
    output: () => output,
  };
}

test("AM-4: the module's program answers the seed's requests over HTTP and stops when told to", async (t) => {
  const server = await startRedis(t);
  const module = await startModule(t, { REDIS_HOST: server.host, REDIS_PORT: String(server.port) });
  while ((await module.ready()) !== 200) await sleep(20);
  deepEqual(await module.post('SetItem', '"ping:pong"'), {
    status: 200,
    body: { status: 200, payload: { Message: "Written:True => key = 'ping', value = 'pong'", Status: 200 } },
  });
  deepEqual((await module.post('GetItem', '"ping"')).body, {
    status: 200,
    payload: { Message: 'pong', Status: 200 },
  });
  match(JSON.stringify((await module.post('Health', 'null')).body), /"State":"ok".*"connection":"ready"/);
  equal(await module.stop(), 0);
  match(module.output(), /\[INF\] module stopped/);
});

test('AM-1: without Redis the module starts, says so with the seed text, and serves once Redis is there', async (t) => {
  const port = await freePort();
  const module = await startModule(t, { REDIS_ENDPOINT: `127.0.0.1:${port}` });
  equal(await module.ready(), 503);
  match(
    JSON.stringify((await module.post('SetItem', '"a:b"')).body),
    /"status":503.*"No connection to Redis server: /,
  );
  match(
    JSON.stringify((await module.post('GetItem', '"a"')).body),
    /"status":503.*"No connection to Redis server available: /,
  );
  await startRedis(t, { port });
  const begin = performance.now();
  while (!JSON.stringify((await module.post('SetItem', '"a:b"')).body).includes('Written:True'))
    await sleep(20);
  equal(performance.now() - begin < 2000, true);
  equal(await module.stop(), 0);
});

test('without an endpoint the module stays up and names what is missing', async (t) => {
  const module = await startModule(t, {});
  match(JSON.stringify((await module.post('GetItem', '"a"')).body), /"status":503.*endpoint is not set/);
  equal(await module.ready(), 503);
  equal(await module.stop(), 0);
});
