import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { startTimeOf } from '../../local-edge/src/agent/process-records.ts';
import type { HubFacts } from '../../local-edge/src/hub-facts.ts';
import { eventually, makeSite } from '../helpers/site.ts';
import type { Site } from '../helpers/site.ts';

const idle = 'setInterval(() => {}, 1000);';
const ready = (after = 0) => `import http from 'node:http';
  const bornAt = Date.now();
  http.createServer((q, r) => { r.statusCode = q.url === '/readyz' && Date.now() - bornAt >= ${after} ? 200 : 503; r.end(); }).listen(9600);`;
const edgeCommand = join(import.meta.dirname, '../../local-edge/bin/edge.js');

interface Command {
  readonly pid: number;
  readonly output: () => string;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Exit code, or the name of the signal. */
  readonly ended: Promise<number | string | null>;
}

/** `edge start` in a process of its own, as a user runs it. */
function edgeStart(t: TestContext, site: Site, ...args: string[]): Command {
  const ports = args.includes('--port') ? [] : ['--port', '0', '--edge-hub-port', '0', '--no-https'];
  const child = spawn(process.execPath, [edgeCommand, 'start', ...ports, ...args], {
    cwd: site.dir,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: string) => void (output += chunk);
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const ended = once(child, 'close').then(() => child.exitCode ?? child.signalCode);
  t.after(() => child.kill('SIGKILL'));
  return { pid: child.pid ?? 0, output: () => output, kill: (signal) => void child.kill(signal), ended };
}

const isReady = (command: Command) =>
  eventually(command.output, (text) => text.includes('is ready ('), 20_000);
const readHub = (site: Site) => JSON.parse(readFileSync(join(site.stateDir, 'hub.json'), 'utf8')) as HubFacts;

/** Pids of the modules, as the local edge noted them. */
function pidOf(site: Site, name: string): number {
  return (
    JSON.parse(readFileSync(join(site.stateDir, `run/${name}.process.json`), 'utf8')) as { pid: number }
  ).pid;
}

test('says what to type next, writes hub.json, and stops everything at Ctrl+C', async (t) => {
  const site = makeSite(t, { redis: { image: 'redis:8' }, 'redis-client': { source: ready() } });
  const command = edgeStart(t, site);
  const text = await isReady(command);
  for (const line of [
    `npx edge invoke-module-method -m redis-client --mn SetItem --mp '"ping:pong"'`,
    `npx edge invoke-module-method -m redis-client --mn GetItem --mp '"ping"'`,
    `npx edge module-twin update -m redis-client --desired '{"endpoint":"redis:6379"}'`,
    'npx edge logs redis-client',
    'Ctrl+C',
    '.edge/logs',
  ]) {
    assert(text.includes(line), line);
  }
  const hub = readHub(site);
  assert.equal(statSync(join(site.stateDir, 'hub.json')).mode & 0o777, 0o600);
  assert.equal(statSync(site.stateDir).mode & 0o777, 0o700);
  assert.deepEqual(
    [hub.hostName, hub.gatewayHostName, hub.deviceId, hub.httpsPort, hub.pid],
    ['localhost', 'localhost', 'local-edge', null, command.pid],
  );
  assert(hub.port > 0 && hub.edgeHubPort > 0 && existsSync(hub.caFile) && existsSync(hub.controlSocket));
  assert.match(
    hub.serviceConnectionString,
    /^HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=.{44}$/,
  );
  assert(hub.serviceConnectionStringWithPort.startsWith(`HostName=localhost:${hub.port};`));
  const pids = ['redis', 'redis-client'].map((name) => pidOf(site, name));
  const startedAt = Date.now();
  command.kill('SIGINT');
  assert.equal(await command.ended, 0);
  assert(Date.now() - startedAt < 5000);
  assert.deepEqual(pids.map(startTimeOf), [null, null]);
  for (const file of ['hub.json', 'lock']) assert(!existsSync(join(site.stateDir, file)), file);
  assert(!existsSync(hub.controlSocket));
});

test('ends what a killed local edge left behind, and takes its folder over', async (t) => {
  const site = makeSite(t, { redis: { image: 'redis:8' }, one: { source: ready() } });
  const first = edgeStart(t, site);
  await isReady(first);
  const pids = ['redis', 'one'].map((name) => pidOf(site, name));
  first.kill('SIGKILL');
  await first.ended;
  assert(pids.every((pid) => startTimeOf(pid) !== null));
  const second = edgeStart(t, site);
  await isReady(second);
  assert.deepEqual(pids.map(startTimeOf), [null, null]);
  assert.match(second.output(), /redis: ended the process of an earlier run/);
  second.kill('SIGTERM');
  assert.equal(await second.ended, 0);
});

test('refuses a second local edge on the same folder', async (t) => {
  const site = makeSite(t, {});
  await site.start();
  const command = edgeStart(t, site);
  assert.equal(await command.ended, 1);
  assert.match(
    command.output(),
    /^edge: A local edge \(process \d+\) already works on .*npx edge stop.*--state DIR/m,
  );
});

test('ends soon when it is interrupted while it starts', async (t) => {
  const site = makeSite(t, { one: { source: idle } });
  const command = edgeStart(t, site);
  await eventually(command.output, (text) => text.includes('one: started'));
  const pid = pidOf(site, 'one');
  command.kill('SIGINT');
  assert.equal(await command.ended, 130);
  assert.equal(startTimeOf(pid), null);
});

for (const flag of ['--port', '--edge-hub-port']) {
  test(`ends with a sentence when the port of ${flag} is in use`, async (t) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.after(() => taken.close());
    const address = taken.address();
    assert(typeof address === 'object' && address !== null);
    const site = makeSite(t, {});
    const ports =
      flag === '--port' ? ['--port', String(address.port)] : ['--port', '0', flag, String(address.port)];
    const command = edgeStart(
      t,
      site,
      ...ports,
      '--no-https',
      ...(flag === '--port' ? ['--edge-hub-port', '0'] : []),
    );
    assert.equal(await command.ended, 1);
    assert.match(
      command.output(),
      new RegExp(`^edge: Port ${address.port} for .* is in use\\. .*${flag}`, 'm'),
    );
  });
}

const badInputs: readonly (readonly [string, (site: Site) => string[], RegExp])[] = [
  [
    'a template that does not exist',
    () => ['--template', 'none.json'],
    /none\.json does not exist.*--template FILE/,
  ],
  [
    'a template that is no JSON',
    (site) => {
      writeFileSync(site.templatePath, '{\n  "modulesContent": {},\n}');
      return [];
    },
    /deployment\.template\.json:3:1: not JSON.*"," before "}"/,
  ],
  [
    'an unknown module in a placeholder, and a missing variable, both',
    (site) => {
      site.deploy({ one: { image: '${MODULES.nope}' }, two: { image: 'redis:${NONE}' } });
      return [];
    },
    /modules\.one\.settings\.image: there is no module "nope"[\s\S]*\$\{NONE\} is not set/,
  ],
  [
    'an environment file that does not exist',
    () => ['--env', 'none.env'],
    /none\.env.*does not exist.*--env FILE/,
  ],
  ['an unknown platform', () => ['--platform', 'vax'], /no platform "vax".*amd64/],
  ['a word', () => ['now'], /takes no word/],
  ['an unknown flag', () => ['--prot', '1'], /--prot.*--port/],
];
for (const [title, prepare, message] of badInputs) {
  test(`ends with a sentence for ${title}`, async (t) => {
    const site = makeSite(t, { one: { source: idle } });
    const command = edgeStart(t, site, ...prepare(site));
    assert([1, 2].includes(Number(await command.ended)));
    assert.match(command.output(), message);
    assert.doesNotMatch(command.output(), /at .*\.ts:\d+/);
    assert(!existsSync(site.stateDir));
  });
}

test('keeps what was edited in a twin, until the template changes', async (t) => {
  const site = makeSite(t, {});
  const modules = { one: { source: idle } };
  site.deploy(modules, { one: { color: 'red' } });
  const color = async (then?: string) => {
    const edge = await site.start();
    const value = edge.hub.twins.get('one')?.desired.properties['color'];
    if (then !== undefined) edge.hub.twins.patchDesired('one', { desired: { color: then } });
    await edge.shutDown();
    return value;
  };
  assert.equal(await color('blue'), 'red');
  assert.equal(await color(), 'blue');
  site.deploy(modules, { one: { color: 'green' } });
  assert.equal(await color(), 'green');
});

test('keeps addresses and keys over a restart', async (t) => {
  const site = makeSite(t, {});
  const first = await site.start();
  const { serviceConnectionString, caFile } = first.facts;
  const ca = readFileSync(caFile, 'utf8');
  const env = await first.moduleEnv('by-hand');
  await first.shutDown();
  const second = await site.start();
  assert.equal(second.facts.serviceConnectionString, serviceConnectionString);
  assert.equal(readFileSync(second.facts.caFile, 'utf8'), ca);
  assert.equal((await second.moduleEnv('by-hand'))['IOTEDGE_WORKLOADURI'], env['IOTEDGE_WORKLOADURI']);
});

test('registers a module that is started by hand, and tells it everything it needs', async (t) => {
  const site = makeSite(t, { redis: { image: 'redis:8' } });
  const edge = await site.start();
  const env = await edge.moduleEnv('by-hand');
  assert.equal(edge.hub.identities.get('by-hand')?.managedBy, null);
  assert.equal(env['IOTEDGE_GATEWAYHOSTNAME'], 'localhost');
  await assert.rejects(edge.moduleEnv('by hand'), /no name of a module/);
  const source = `import net from 'node:net';
    const ask = () => { const s = net.connect(6379, 'redis', () => s.write('PING\\r\\n'));
      s.on('data', (d) => { console.log(d.toString().trim()); s.destroy(); }).on('error', () => setTimeout(ask, 20)); }; ask();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => void (output += chunk));
  await once(child, 'close');
  assert.equal(output.trim(), '+PONG');
});

test('removes identities that the deployment no longer names, and keeps those made by hand', async (t) => {
  const site = makeSite(t, { one: { source: idle }, two: { source: idle } });
  const first = await site.start();
  await first.moduleEnv('by-hand');
  await first.shutDown();
  site.deploy({ one: { source: idle } });
  const second = await site.start();
  assert.deepEqual(
    second.hub.identities
      .list()
      .map((one) => one.moduleId)
      .filter((id) => !id.startsWith('$'))
      .sort(),
    ['by-hand', 'one'],
  );
});

test('starts no module without the agent', async (t) => {
  const site = makeSite(t, { one: { source: idle } });
  const edge = await site.start({ agent: false });
  assert(edge.hub.identities.get('one'));
  assert.deepEqual(
    edge.agent.list().map((one) => one.name),
    ['edgeAgent', 'edgeHub'],
  );
});

test('starts as a new device without a template', async (t) => {
  const site = makeSite(t, {});
  const edge = await site.start({ templatePath: null });
  const status = await eventually(
    () => edge.hub.twins.get('$edgeAgent')?.reported.properties['lastDesiredStatus'],
    (one) => one !== undefined,
  );
  assert.deepEqual(status, { code: 417, description: 'There is no deployment yet.' });
});

test('waits for the modules of the checkout to be ready, and says which are not', async (t) => {
  const site = makeSite(t, { soon: { source: ready(300) }, crash: { source: 'process.exit(1)' } });
  const startedAt = Date.now();
  await site.start({ readyTimeoutMs: 20_000 });
  assert(Date.now() - startedAt > 300 && Date.now() - startedAt < 15_000);
  assert.deepEqual(
    site.said.filter((line) => line.includes('not ready')),
    ['crash is not ready; "npx edge logs crash" says more'],
  );
});
