import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import { splitImage } from '../../local-edge/src/engine/engine-images.ts';
import type { LocalEdge } from '../../local-edge/src/runtime.ts';
import { startScriptedEngine } from '../helpers/scripted-engine.ts';
import type { ScriptedEngine } from '../helpers/scripted-engine.ts';
import { eventually, logOf, makeSite } from '../helpers/site.ts';
import type { Site, SiteModule } from '../helpers/site.ts';

const quick = { backoffUnitMs: 20, longestBackoffMs: 50, reconcileMs: 20, mostRestarts: 1000 };

async function start(
  site: Site,
  engine: Pick<ScriptedEngine, 'socketPath'>,
  options: object = {},
): Promise<LocalEdge> {
  return site.start({ docker: true, env: { DOCKER_HOST: `unix://${engine.socketPath}` }, ...options });
}

function statusOf(edge: LocalEdge, name: string): { status: string; description: string } {
  const { status = 'none', description = '' } = edge.agent.list().find((one) => one.name === name) ?? {};
  return { status, description };
}

const redis: SiteModule = {
  image: 'redis:8.2-alpine',
  env: { GIVEN: 'by the manifest', SHARED: 'manifest' },
  createOptions: {
    User: '999:1000',
    Cmd: ['redis-server', '--appendonly', 'yes'],
    Env: ['SHARED=options'],
    StopTimeout: 7,
    Labels: { own: 'label' },
    HostConfig: { CapDrop: ['ALL'], ReadonlyRootfs: true, Binds: ['data:/data'] },
  },
};

async function withTwo(t: TestContext): Promise<{ engine: ScriptedEngine; site: Site; edge: LocalEdge }> {
  const engine = await startScriptedEngine(t);
  engine.images.add('redis:8.2-alpine');
  const site = makeSite(t, {
    redis: { ...redis, startupOrder: 0 },
    worker: { image: 'registry.example/worker:1', startupOrder: 1 },
  });
  return { engine, site, edge: await start(site, engine) };
}

test('a container is made of createOptions as they are, and of what edgeAgent adds', async (t) => {
  const { engine, site, edge } = await withTwo(t);
  const { body } = engine.named('redis');
  const { Env, Labels, HostConfig, ...rest } = body;
  assert.deepEqual(rest, {
    User: '999:1000',
    Cmd: ['redis-server', '--appendonly', 'yes'],
    StopTimeout: 7,
    Image: 'redis:8.2-alpine',
  });
  assert.deepEqual(Labels, { own: 'label', 'iotedge-redis.local-edge': site.stateDir });
  const [data, socket = ''] = HostConfig['Binds'] as string[];
  assert.equal(data, 'data:/data');
  assert.match(socket, /^\/.+\.sock:\/var\/run\/iotedge\/workload\.sock$/);
  // The user in the container is another one than that of the local edge.
  assert.equal(statSync(socket.split(':')[0] ?? '').mode & 0o777, 0o666);
  assert.deepEqual(
    { ...HostConfig, Binds: [] },
    {
      CapDrop: ['ALL'],
      ReadonlyRootfs: true,
      NetworkMode: 'azure-iot-edge',
      Binds: [],
      ExtraHosts: ['edgehub:127.0.0.2'],
    },
  );
  const env = Object.fromEntries(Env.map((entry) => entry.split(/=(.*)/s).slice(0, 2))) as Record<
    string,
    string
  >;
  assert.equal(Env.length, Object.keys(env).length, 'each variable once');
  assert.equal(env['SHARED'], 'options');
  assert.equal(env['GIVEN'], 'by the manifest');
  assert.equal(env['IOTEDGE_MODULEID'], 'redis');
  assert.equal(env['IOTEDGE_WORKLOADURI'], 'unix:///var/run/iotedge/workload.sock');
  assert.equal(env['IOTEDGE_GATEWAYHOSTNAME'], `edgehub:${edge.facts.edgeHubPort}`);
  assert.equal(env['PATH'], undefined, 'nothing of the environment of the local edge');
  assert.deepEqual(statusOf(edge, 'redis').status, 'running');
});

test('an image that is here is not pulled; one that is missing is, by name and tag', async (t) => {
  const { engine } = await withTwo(t);
  assert.deepEqual(
    engine.asked('POST', /^\/images\/create$/).map(({ query }) => query),
    [{ fromImage: 'registry.example/worker', tag: '1' }],
  );
  for (const [image, name, tag] of [
    ['redis', 'redis', 'latest'],
    ['localhost:5000/a', 'localhost:5000/a', 'latest'],
    ['localhost:5000/a:1-amd64', 'localhost:5000/a', '1-amd64'],
    ['redis:8@sha256:01', 'redis', 'sha256:01'],
  ])
    assert.deepEqual(splitImage(image ?? ''), { name, tag });
});

test('edgeHub is reached from the network of the containers under a name that its certificate has', async (t) => {
  const { edge } = await withTwo(t);
  const socket = connect({
    host: '127.0.0.2',
    port: edge.facts.edgeHubPort,
    servername: 'edgehub',
    ca: readFileSync(edge.facts.caFile),
  });
  t.after(() => socket.destroy());
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(undefined)).once('error', reject);
  });
  assert(socket.authorized);
});

test('what a container prints is in the log of the module, stream by stream', async (t) => {
  const { engine, edge } = await withTwo(t);
  const lines = await eventually(
    () => logOf(edge, 'worker'),
    (all) => all.length === 2,
  );
  assert.deepEqual(lines, ['hello of worker', 'a warning']);
  const [asked] = engine.asked('GET', /^\/containers\/worker.*\/logs$/);
  assert.deepEqual(asked?.query, { follow: '1', stdout: '1', stderr: '1', since: '1769854830.123456789' });
});

test('a container that ends is started again by the policy, the same one, and so is an unhealthy one', async (t) => {
  const engine = await startScriptedEngine(t);
  const site = makeSite(t, { worker: { image: 'worker:1' } });
  const edge = await start(site, engine, { restartTimes: quick, containerHealthPollMs: 10 });
  const { id } = engine.named('worker');
  engine.exit('worker', 3);
  await eventually(
    () => engine.named('worker').starts,
    (starts) => starts === 2,
  );
  assert.match(await logText(edge), /worker: exited with code 3/);
  engine.named('worker').health = 'unhealthy';
  await eventually(
    () => engine.named('worker').starts,
    (starts) => starts >= 3,
  );
  engine.named('worker').health = 'healthy';
  assert.equal(engine.named('worker').id, id);
  assert.match(await logText(edge), /worker: its health check fails.*no answer/);
  // Somebody removes it by hand.
  engine.exit('worker', 137);
  engine.containers.delete(id);
  await eventually(
    () => engine.asked('POST', /^\/containers\/create$/).length,
    (made) => made === 2,
  );
});

test('edge stop stops the last started first, with the time that they have, and removes the containers', async (t) => {
  const { engine, edge } = await withTwo(t);
  const before = engine.requests.length;
  await edge.shutDown();
  const asked = engine.requests
    .slice(before)
    .filter(({ path, method }) => method === 'DELETE' || path.endsWith('/stop'))
    .map(
      ({ method, path, query }) =>
        `${method} ${/containers\/(\w+)/.exec(path)?.[1] ?? ''} ${query['t'] ?? ''}`,
    );
  assert.deepEqual(asked.slice(0, 2), ['POST worker 10', 'POST redis 7']);
  assert.deepEqual(asked.slice(2).sort(), ['DELETE redis ', 'DELETE worker ']);
  assert.deepEqual([...engine.containers], []);
  assert(engine.networks.has('azure-iot-edge'), 'the network stays, as on a device');
});

test('what an earlier run left is removed first; containers of others are named, and left alone', async (t) => {
  const engine = await startScriptedEngine(t);
  for (const image of ['one:1', 'two:1', 'three:1']) engine.images.add(image);
  const site = makeSite(t, { one: { image: 'one:1' }, two: { image: 'two:1' }, three: { image: 'three:1' } });
  const left = engine.add('one', { 'iotedge-redis.local-edge': site.stateDir });
  engine.add('two', { 'iotedge-redis.local-edge': '/elsewhere/.edge' });
  engine.add('three');
  const edge = await start(site, engine);
  assert.notEqual(engine.named('one').id, undefined);
  assert(!engine.containers.has(left.id) || engine.named('one').body.Image === 'one:1');
  assert.equal(statusOf(edge, 'one').status, 'running');
  assert.match(await logText(edge), /one: removed the container of an earlier run/);
  assert.match(
    statusOf(edge, 'two').description,
    /belongs to the local edge in \/elsewhere\/\.edge: stop that one/,
  );
  assert.match(statusOf(edge, 'three').description, /docker rm -f three/);
  assert(engine.named('three').isRunning && engine.named('two').isRunning);
});

test('a pull or a start that fails is told in the words of the engine, and tried again', async (t) => {
  const engine = await startScriptedEngine(t);
  engine.pullErrors.set('worker:1', 'manifest unknown');
  const site = makeSite(t, { worker: { image: 'worker:1' } });
  const edge = await start(site, engine, { restartTimes: quick });
  assert.match(statusOf(edge, 'worker').description, /image worker:1 .*manifest unknown.*npm run images/);
  engine.pullErrors.clear();
  await eventually(
    () => statusOf(edge, 'worker').status,
    (status) => status === 'running',
  );
  engine.named('worker').startError = 'port is already allocated';
  engine.exit('worker', 1);
  await eventually(
    () => statusOf(edge, 'worker').description,
    (text) => text.includes('port is already allocated'),
  );
});

test('an engine that goes away stops nobody from stopping', async (t) => {
  const { engine, site, edge } = await withTwo(t);
  await engine.close();
  await eventually(
    () => statusOf(edge, 'worker').status,
    (status) => status !== 'running',
  );
  await edge.shutDown();
  assert.match(site.said.join('\n'), /redis: its container could not be removed; the next start does it/);
  await engine.open();
});

test('without an engine the start ends with what to do', async (t) => {
  const site = makeSite(t, {});
  const nobody = { socketPath: join(site.dir, 'nobody.sock') };
  await assert.rejects(start(site, nobody), {
    code: 'SERVICE_MISSING',
    message: /no container engine answers at .*nobody\.sock \(ENOENT\)\. Start it.*DOCKER_HOST/,
  });
  await assert.rejects(site.start({ docker: true, env: { DOCKER_HOST: 'tcp://192.0.2.1:2375' } }), {
    code: 'SERVICE_MISSING',
    message: /not asked by a Unix socket/,
  });
});

async function logText(edge: LocalEdge): Promise<string> {
  return (await logOf(edge, 'edgeAgent')).join('\n');
}
