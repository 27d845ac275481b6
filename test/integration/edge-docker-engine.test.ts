import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { deployedModules } from '../../build/manifest/content.ts';
import type { Content } from '../../build/manifest/content.ts';
import { generateManifest } from '../../build/manifest/generate.ts';
import { engineSocket } from '../../local-edge/src/engine/engine-client.ts';
import { projectRoot } from '../helpers/edge-process.ts';
import { eventually, makeSite } from '../helpers/site.ts';

function docker(...args: string[]): { readonly status: number | null; readonly stdout: string } {
  const { status, stdout, stderr } = spawnSync('docker', args, { encoding: 'utf8' });
  return { status, stdout: `${stdout}${stderr}` };
}

test('RD-24: where an engine answers, Redis and the broker of the template run in it, locked up as they are', async (t) => {
  if (docker('version').status !== 0) {
    t.diagnostic('NOT RUN: no container engine answers here; the same calls are made of a scripted one');
    return;
  }
  const { text = '' } = await generateManifest({
    root: projectRoot,
    envPath: join(projectRoot, '.env.template'),
    env: process.env,
    modules: ['redis', 'mosquitto'],
  });
  const { modulesContent } = JSON.parse(text) as { modulesContent: Content };
  const modules = deployedModules(modulesContent).filter(({ name }) => !name.startsWith('edge'));
  const site = makeSite(
    t,
    Object.fromEntries(
      modules.map(({ name, image, env, options }) => [name, { image, env, createOptions: options ?? {} }]),
    ),
  );
  const edge = await site.start({
    docker: true,
    env: { DOCKER_HOST: `unix://${engineSocket(process.env)}` },
  });
  await eventually(
    () => docker('inspect', '--format', '{{.State.Health.Status}}', 'redis').stdout.trim(),
    (health) => health === 'healthy',
    60_000,
  );
  for (const { name } of modules)
    assert.equal(edge.agent.list().find((one) => one.name === name)?.status, 'running', name);
  const capabilities = docker('exec', 'redis', 'grep', 'CapBnd', '/proc/1/status').stdout;
  assert.match(capabilities, /CapBnd:\s+0+\n/);
  assert.notEqual(docker('exec', 'redis', 'touch', '/here').status, 0, 'its root can be written to');
  assert.match(docker('exec', 'redis', 'sh', '/run/cli', 'ping').stdout, /PONG/);
  await edge.shutDown();
  assert.equal(
    docker('ps', '--all', '--quiet', '--filter', `label=iotedge-redis.local-edge=${site.stateDir}`).stdout,
    '',
  );
});
