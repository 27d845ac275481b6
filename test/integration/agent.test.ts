import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { startTimeOf } from '../../local-edge/src/agent/process-records.ts';
import type { JsonObject, JsonValue, MethodOutcome } from '../../local-edge/src/hub/hub-api.ts';
import type { LocalEdge } from '../../local-edge/src/runtime.ts';
import { freePort } from '../helpers/redis.ts';
import { eventually, logOf, makeSite } from '../helpers/site.ts';

const idle = 'setInterval(() => {}, 1000);';
const quick = { backoffUnitMs: 20, reconcileMs: 20, longestBackoffMs: 100 };

const statusOf = (edge: LocalEdge, name: string) => edge.agent.list().find((one) => one.name === name);

function reported(edge: LocalEdge): JsonObject {
  return edge.hub.twins.get('$edgeAgent')?.reported.properties ?? {};
}

function reportedModule(edge: LocalEdge, name: string): JsonObject | undefined {
  return (reported(edge)['modules'] as Record<string, JsonObject> | undefined)?.[name];
}

function change(edge: LocalEdge, modules: JsonObject): void {
  assert(edge.hub.twins.patchDesired('$edgeAgent', { desired: { modules } }).ok);
}

function invoke(edge: LocalEdge, methodName: string, payload: JsonValue): Promise<MethodOutcome> {
  return edge.hub.methods.invoke({
    moduleId: '$edgeAgent',
    methodName,
    payload,
    responseTimeoutMs: 5000,
    connectTimeoutMs: 0,
  });
}

test('gives a module the environment of IoT Edge and little else', async (t) => {
  const site = makeSite(t, {
    echo: {
      source: `console.log(JSON.stringify(process.env)); ${idle}`,
      env: { GREETING: 'hello', RuntimeLogLevel: 'debug' },
      createOptions: { Env: ['MODE=fast'] },
    },
  });
  const edge = await site.start({ env: { ...process.env, SECRET_OF_THIS_MACHINE: 'x' } });
  const [line = '{}'] = await eventually(
    () => logOf(edge, 'echo'),
    (lines) => lines.length > 0,
  );
  const env = JSON.parse(line) as Record<string, string>;
  const identity = edge.hub.identities.get('echo');
  assert(identity);
  assert.match(env['IOTEDGE_WORKLOADURI'] ?? '', /^unix:\/\/\//);
  const expected = {
    IOTEDGE_AUTHSCHEME: 'sasToken',
    IOTEDGE_MODULEGENERATIONID: identity.generationId,
    IOTEDGE_IOTHUBHOSTNAME: 'localhost',
    IOTEDGE_GATEWAYHOSTNAME: 'localhost',
    IOTEDGE_DEVICEID: 'local-edge',
    IOTEDGE_MODULEID: 'echo',
    IOTEDGE_APIVERSION: '2022-08-03',
    RuntimeLogLevel: 'debug',
    GREETING: 'hello',
    MODE: 'fast',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(env[name], value, name);
  assert.equal(env['SECRET_OF_THIS_MACHINE'], undefined);
  assert.equal(identity.managedBy, 'IotEdge');
});

test('a module may be called as a property that every object has', async (t) => {
  const edge = await makeSite(t, { constructor: { source: `console.log('here'); ${idle}` } }).start();
  await eventually(
    () => logOf(edge, 'constructor'),
    (lines) => lines.includes('here'),
  );
});

test('modules called as properties that every object has leave the reported twin with the deployment', async (t) => {
  const names = ['constructor', 'toString', '__proto__'];
  const idleModule = { source: idle, status: 'stopped' } as const;
  const site = makeSite(t, Object.fromEntries([...names, 'other'].map((name) => [name, idleModule])));
  const edge = await site.start();
  const listed = (): string[] => Object.keys((reported(edge)['modules'] ?? {}) as JsonObject).sort();
  await eventually(listed, (found) => found.length === 4);
  assert.deepEqual(listed(), [...names, 'other'].sort());
  change(edge, Object.fromEntries(names.map((name) => [name, null])));
  await eventually(listed, (found) => found.length === 1);
  assert.deepEqual(listed(), ['other']);
});

test('starts lower startupOrders first and stops in reverse', async (t) => {
  const source = `const say = (what) => console.log(what, process.hrtime.bigint().toString());
    say('up'); process.on('SIGTERM', () => { say('down'); process.exit(0); }); ${idle}`;
  const site = makeSite(t, {
    late: { source },
    second: { source, startupOrder: 2 },
    first: { source, startupOrder: 1 },
  });
  const edge = await site.start();
  const names = ['first', 'second', 'late'];
  for (const name of names)
    await eventually(
      () => logOf(edge, name),
      (lines) => lines.length > 0,
    );
  const started = names.map((name) => Date.parse(statusOf(edge, name)?.startedAt ?? ''));
  assert.deepEqual(
    [...started].sort((a, b) => a - b),
    started,
  );
  const { agent } = edge;
  await edge.shutDown();
  const downs: bigint[] = [];
  for (const name of names) {
    const abort = new AbortController();
    for await (const line of agent.logs(name, { follow: false, signal: abort.signal })) {
      if (line.startsWith('down')) downs.push(BigInt(line.split(' ')[1] ?? '0'));
    }
  }
  const [first = 0n, second = 0n, late = 0n] = downs;
  assert(late < second && second < first, downs.join());
});

test('restarts a crashing module with a growing pause, gives up, and starts it again when asked', async (t) => {
  const site = makeSite(t, { crash: { source: 'console.log("run"); process.exit(3);' } });
  const edge = await site.start({ restartTimes: { ...quick, mostRestarts: 3 } });
  const status = await eventually(
    () => statusOf(edge, 'crash'),
    (one) => one?.status === 'failed',
  );
  assert.deepEqual([status?.restartCount, status?.exitCode, status?.pid], [3, 3, null]);
  assert.equal((await logOf(edge, 'crash')).length, 4);
  const report = await eventually(
    () => reportedModule(edge, 'crash'),
    (one) => one?.['runtimeStatus'] === 'failed',
  );
  assert.deepEqual(
    [report?.['exitCode'], report?.['restartCount'], report?.['restartPolicy']],
    [3, 3, 'always'],
  );
  assert.notEqual(report?.['lastRestartTimeUtc'], '0001-01-01T00:00:00Z');
  await invoke(edge, 'RestartModule', { schemaVersion: '1.0', id: 'crash' });
  await eventually(
    () => logOf(edge, 'crash'),
    (lines) => lines.length > 4,
  );
});

test('leaves a module that ends alone when its policy is never', async (t) => {
  const site = makeSite(t, { once: { source: 'process.exit(0);', restartPolicy: 'never' } });
  const edge = await site.start({ restartTimes: quick });
  await eventually(
    () => statusOf(edge, 'once'),
    (one) => one?.exitCode === 0,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual([statusOf(edge, 'once')?.status, statusOf(edge, 'once')?.restartCount], ['stopped', 0]);
});

test('restarts a module whose health check fails, on its own ports', async (t) => {
  const site = makeSite(t, {
    sick: {
      source: `import http from 'node:http';
        const bornAt = Date.now();
        http.createServer((_q, r) => { r.statusCode = Date.now() - bornAt > 300 ? 500 : 200; r.end(); }).listen(9600);
        console.log('born');`,
      restartPolicy: 'on-unhealthy',
      createOptions: {
        Healthcheck: {
          Test: [
            'CMD',
            'node',
            '-e',
            "fetch('http://localhost:9600/').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(2))",
          ],
          Interval: 50e6,
          Timeout: 2e9,
          Retries: 2,
        },
      },
    },
  });
  const edge = await site.start({ restartTimes: quick });
  await eventually(
    () => logOf(edge, 'sick'),
    (lines) => lines.filter((line) => line === 'born').length >= 2,
  );
  assert(Number(statusOf(edge, 'sick')?.restartCount) >= 1);
});

test('follows the desired properties: stop, start, change, remove, add', async (t) => {
  const site = makeSite(t, {
    one: { source: `console.log('env', process.env.X); ${idle}` },
    two: { source: idle },
  });
  const edge = await site.start();
  const pid = statusOf(edge, 'one')?.pid;
  assert(pid);

  change(edge, { one: { status: 'stopped' } });
  await eventually(
    () => statusOf(edge, 'one'),
    (one) => one?.status === 'stopped',
  );
  assert.equal(startTimeOf(pid), null);
  await assert.rejects(edge.agent.restart('one'), /stopped by its desired status/);

  change(edge, { one: { status: 'running' } });
  const running = await eventually(
    () => statusOf(edge, 'one'),
    (one) => one?.status === 'running',
  );

  change(edge, { one: { env: { X: { value: 'new' } } } });
  await eventually(
    () => logOf(edge, 'one'),
    (lines) => lines.includes('env new'),
  );
  assert.notEqual(statusOf(edge, 'one')?.pid, running?.pid);

  const two = statusOf(edge, 'two')?.pid ?? 0;
  change(edge, { two: null });
  await eventually(
    () => statusOf(edge, 'two'),
    (one) => one === undefined,
  );
  assert.equal(startTimeOf(two), null);
  assert.equal(edge.hub.identities.get('two'), undefined);
  await eventually(
    () => reportedModule(edge, 'two'),
    (one) => one === undefined,
  );

  const settings = { image: 'site/two:1.0-amd64' };
  change(edge, { two: { type: 'docker', settings, status: 'running', restartPolicy: 'always' } });
  await eventually(
    () => statusOf(edge, 'two'),
    (one) => one?.status === 'running',
  );
  assert(edge.hub.identities.get('two'));
  await eventually(
    () => reported(edge)['lastDesiredVersion'],
    (version) => version === edge.hub.twins.get('$edgeAgent')?.desired.version,
  );
});

test('reports 400 for a document that does not hold, and changes nothing', async (t) => {
  const site = makeSite(t, { one: { source: idle } });
  const edge = await site.start();
  const pid = statusOf(edge, 'one')?.pid;
  change(edge, { one: { restartPolicy: 'sometimes' } });
  const status = await eventually(
    () => (reported(edge)['lastDesiredStatus'] ?? {}) as JsonObject,
    (one) => one['code'] === 400,
  );
  assert.match(JSON.stringify(status['description']), /modules\.one: restartPolicy/);
  assert.equal(statusOf(edge, 'one')?.pid, pid);
});

test('refuses by name what cannot be a process, and runs the rest', async (t) => {
  const site = makeSite(t, {
    good: { source: idle },
    foreign: { image: 'grafana/grafana:11' },
    odd: {
      source: idle,
      createOptions: { HostConfig: { NetworkMode: 'host', Devices: [{ PathOnHost: '/dev/x' }] } },
    },
  });
  const edge = await site.start();
  assert.equal(statusOf(edge, 'good')?.status, 'running');
  const foreign = statusOf(edge, 'foreign');
  assert.equal(foreign?.status, 'failed');
  assert.match(foreign.description, /grafana\/grafana:11 of foreign.*npx edge module-env foreign/);
  assert.match(statusOf(edge, 'odd')?.description ?? '', /NetworkMode.*HostConfig\.Devices/);
  const status = await eventually(
    () => (reported(edge)['lastDesiredStatus'] ?? {}) as JsonObject,
    (one) => one['code'] === 500,
  );
  assert.match(JSON.stringify(status['description']), /foreign.*odd/);
});

test('publishes PortBindings on loopback, and says which host port is taken', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const address = taken.address();
  assert(typeof address === 'object' && address !== null);
  const port = await freePort();
  const bind = (hostPort: number) => ({
    HostConfig: { PortBindings: { '6379/tcp': [{ HostPort: String(hostPort) }] } },
  });
  const site = makeSite(t, {
    open: { image: 'redis:8', createOptions: bind(port) },
    shut: { image: 'redis:8', createOptions: bind(address.port) },
  });
  const edge = await site.start();
  assert.equal(edge.table.find('open', 6379), port);
  assert.match(
    statusOf(edge, 'shut')?.description ?? '',
    new RegExp(`Host port ${address.port} of shut .* is in use`),
  );
});

test('answers the methods of $edgeAgent', async (t) => {
  const site = makeSite(t, {
    talk: {
      source: `console.log('<4> 2026-01-01 00:00:00.000 +00:00 [WRN] careful'); console.log('plain'); ${idle}`,
    },
  });
  const edge = await site.start();
  await eventually(
    () => logOf(edge, 'talk'),
    (lines) => lines.length === 2,
  );
  assert.deepEqual(await invoke(edge, 'ping', null), { kind: 'reply', status: 200, payload: null });
  const items = [{ id: 'talk', filter: { loglevel: 4 } }];
  assert.deepEqual(
    await invoke(edge, 'GetModuleLogs', {
      schemaVersion: '1.0',
      items,
      encoding: 'none',
      contentType: 'text',
    }),
    {
      kind: 'reply',
      status: 200,
      payload: [{ id: 'talk', payload: '<4> 2026-01-01 00:00:00.000 +00:00 [WRN] careful\n' }],
    },
  );
  const pid = statusOf(edge, 'talk')?.pid;
  const restarted = await invoke(edge, 'RestartModule', { schemaVersion: '1.0', id: 'talk' });
  assert.equal(restarted.kind === 'reply' && restarted.status, 200);
  assert.notEqual(statusOf(edge, 'talk')?.pid, pid);
});

test('shows edgeAgent and edgeHub among the modules, with their logs', async (t) => {
  const site = makeSite(t, { one: { source: idle } });
  const edge = await site.start();
  assert.deepEqual(
    edge.agent.list().map(({ name, image }) => `${name} ${image}`),
    ['edgeAgent agent:1', 'edgeHub hub:1', 'one site/one:1.0-amd64'],
  );
  const log = await eventually(
    () => logOf(edge, 'edgeAgent'),
    (lines) => lines.some((line) => line.includes('one: started')),
  );
  assert.match(log.at(-1) ?? '', /^<6> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+00:00 \[INF\] /);
  await assert.rejects(edge.agent.restart('nope'), /no module nope.*one/);
});

test('lets a debug image listen for a debugger on its host port', async (t) => {
  const port = await freePort();
  const site = makeSite(t, {
    bug: {
      source: idle,
      image: '${MODULES.bug.debug}',
      createOptions: { HostConfig: { PortBindings: { '9229/tcp': [{ HostPort: String(port) }] } } },
    },
  });
  await site.start();
  const version = await eventually(
    async () => (await fetch(`http://127.0.0.1:${port}/json/version`).catch(() => null))?.status,
    (status) => status === 200,
  );
  assert.equal(version, 200);
});
