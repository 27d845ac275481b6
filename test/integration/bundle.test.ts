import assert from 'node:assert/strict';
import { relative } from 'node:path';
import { test } from 'node:test';
import { bundle } from '../../build/bundle.ts';
import { imageCommand } from '../../bench/image-command.ts';
import { startTestEdge } from '../helpers/edge.ts';
import { startModuleProcess } from '../helpers/module-process.ts';
import { startRedis } from '../helpers/redis.ts';

const root = new URL('../..', import.meta.url).pathname;

test('the bundle that an image runs answers methods under IoT Edge and says nothing on standard error', async (t) => {
  const edge = await startTestEdge();
  t.after(() => edge.stop());
  const redis = await startRedis(t);
  const main = await bundle('redis-client');
  const { flags } = imageCommand(`${root}/modules/redis-client/Dockerfile.amd64`);
  const module = await startModuleProcess(t, relative(root, main), {
    environment: {
      ...(await edge.environment('redis-client')),
      REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
    },
    flags,
  });
  await module.until(/module is ready/);
  await module.until(/connected to edgeHub/);
  const written = await edge.invoke('redis-client', 'SetItem', 'ping:pong');
  assert.deepEqual(written, {
    kind: 'reply',
    status: 200,
    payload: { Message: "Written:True => key = 'ping', value = 'pong'", Status: 200 },
  });
  const read = await edge.invoke('redis-client', 'GetItem', 'ping');
  assert.deepEqual(read, { kind: 'reply', status: 200, payload: { Message: 'pong', Status: 200 } });
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 0, signal: null });
  assert.equal(module.errors(), '');
});
