import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import {
  adopt,
  edgeProgram,
  makeStateDir,
  plainEnvironment,
  projectRoot,
  runEdge,
  runProgram,
  runs,
  spawnInGroup,
  startEdge,
} from '../helpers/edge-process.ts';
import { withoutSamples } from '../helpers/deployed-edge.ts';
import { listeningSockets, treeOf } from '../helpers/process-tree.ts';
import { eventually } from '../helpers/site.ts';

/** What the README of iotedge-redis-support shows for SetItem and GetItem. */
const written = `{
    "status": 200,
    "payload": {
        "Message": "Written:True => key = 'ping', value = 'pong'",
        "Status": 200
    }
}
`;
const read = `{
    "status": 200,
    "payload": {
        "Message": "pong",
        "Status": 200
    }
}
`;
const commands = [
  `npx edge invoke-module-method -m redis-client --mn SetItem --mp '"ping:pong"'`,
  `npx edge invoke-module-method -m redis-client --mn GetItem --mp '"ping"'`,
  `npx edge module-twin update -m redis-client --desired '{"endpoint":"redis:6379"}'`,
];
const longestStopMs = 10_000;

test('npm start and the three commands of the README do what they show, and Ctrl+C ends all of it', async (t) => {
  const stateDir = makeStateDir(t);
  const env = plainEnvironment();
  const npm = spawnInGroup(t, 'npm', ['start', '--', '--state', stateDir], { cwd: projectRoot, env });
  const edge = await adopt(t, npm, stateDir, env);

  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  assert(readme.includes(written), 'the README shows the answer of SetItem');
  for (const command of commands) {
    assert(readme.includes(command), `the README has ${command}`);
    assert(edge.output.stdout.includes(`  ${command}\n`), `it is printed: ${command}`);
  }

  // Typed as they are printed, in a shell of this folder.
  const setUp = /^ {2}(export EDGE_STATE=.*)$/m.exec(edge.output.stdout)?.[1] ?? '';
  const type = (command: string) =>
    runProgram('sh', ['-c', `${setUp}\n${command}`], { cwd: projectRoot, env });
  const [set, get, update] = [
    await type(commands[0] ?? ''),
    await type(commands[1] ?? ''),
    await type(commands[2] ?? ''),
  ];
  assert.deepEqual([set.stdout, set.code], [written, 0], set.stderr);
  assert.deepEqual([get.stdout, get.code], [read, 0], get.stderr);
  assert.equal(update.code, 0, update.stderr);
  const twin = JSON.parse(update.stdout) as {
    properties: { desired: { endpoint: string; $version: number } };
  };
  assert.equal(update.stdout, `${JSON.stringify(twin, null, 4)}\n`);
  assert.equal(twin.properties.desired.endpoint, 'redis:6379');
  const reported = await eventually(
    async () => (await edge.json('module-twin', 'show', '-m', 'redis-client'))['properties'],
    (properties) => JSON.stringify(properties).includes(`"av":${twin.properties.desired.$version}`),
  );
  assert.match(JSON.stringify(reported), /"endpoint":\{"value":"redis:6379","ac":200,/);

  const tree = treeOf(npm.pid ?? 0);
  const sockets = listeningSockets(tree);
  // edgeHub, the service API, Redis and the module's HTTP server, at least.
  assert(sockets.length >= 4, JSON.stringify(sockets));
  assert.deepEqual(
    sockets.filter((socket) => !socket.loopback),
    [],
  );

  const startedAt = Date.now();
  await edge.interrupt();
  assert(Date.now() - startedAt < longestStopMs, `it took ${Date.now() - startedAt} ms to stop`);
  assert.deepEqual(tree.filter(runs), []);
  assert.match(edge.output.stderr, /stopped; twins, sessions and volumes are kept/);
});

test('a second start with the same state keeps values, twins, identities and keys', async (t) => {
  const stateDir = makeStateDir(t);
  // The second site of the samples is made anew at each start.
  const first = await startEdge(t, { stateDir, flags: withoutSamples });
  await first.invoke('redis-client', 'SetItem', 'kept:in the append-only file');
  await first.ok(
    'module-twin',
    'update',
    '-m',
    'redis-client',
    '--desired',
    '{"logLevel":"debug"}',
    '--tags',
    '{"site":"a"}',
  );
  await first.ok('module-env', 'by-hand');
  const identities = await first.ok('module-identity', 'list');
  assert.equal(await first.interrupt(), 0);

  const second = await startEdge(t, { stateDir, flags: withoutSamples });
  const { payload } = await second.invoke('redis-client', 'GetItem', 'kept');
  assert.deepEqual(payload, { Message: 'in the append-only file', Status: 200 });
  const twin = await second.json('module-twin', 'show', '-m', 'redis-client');
  assert.deepEqual(twin['tags'], { site: 'a' });
  assert.match(JSON.stringify(twin['properties']), /"desired":\{"endpoint":"redis:6379","logLevel":"debug"/);
  assert.equal(second.facts.serviceConnectionString, first.facts.serviceConnectionString);
  const lasting = (text: string) =>
    (JSON.parse(text) as { moduleId: string; generationId: string; authentication: unknown }[]).map(
      ({ moduleId, generationId, authentication }) => ({ moduleId, generationId, authentication }),
    );
  assert.deepEqual(lasting(await second.ok('module-identity', 'list')), lasting(identities));
});

test('everything in the state folder belongs to its user alone', async (t) => {
  const edge = await startEdge(t);
  assert.equal(statSync(edge.stateDir).mode & 0o777, 0o700);
  for (const name of [
    'hub.json',
    'ca-key.pem',
    'server-key.pem',
    'identities.json',
    'service-key.json',
    'twins.json',
  ])
    assert.equal(statSync(join(edge.stateDir, name)).mode & 0o777, 0o600, name);
  assert.equal(statSync(edge.facts.controlSocket).mode & 0o777, 0o600);
});

test('a second local edge on the same state folder is refused with a sentence, and the first goes on', async (t) => {
  const edge = await startEdge(t);
  const second = await runEdge(['start', '--state', edge.stateDir, '--port', '0', '--edge-hub-port', '0'], {
    env: plainEnvironment(),
  });
  assert.equal(second.code, 1);
  assert.match(
    second.stderr,
    new RegExp(`^edge: A local edge \\(process ${edge.facts.pid}\\) already works on `, 'm'),
  );
  assert.match(second.stderr, /Stop it with "npx edge stop".*--state DIR/);
  assert.equal((await edge.invoke('redis-client', 'SetItem', 'still:here'))['status'], 200);
});

test('two local edges with state folders of their own run side by side', async (t) => {
  const [one, two] = [await startEdge(t), await startEdge(t)];
  await one.invoke('redis-client', 'SetItem', 'name:one');
  await two.invoke('redis-client', 'SetItem', 'name:two');
  assert.deepEqual((await one.invoke('redis-client', 'GetItem', 'name'))['payload'], {
    Message: 'one',
    Status: 200,
  });
});

test('the next start ends what a killed local edge left behind, and loses nothing', async (t) => {
  const stateDir = makeStateDir(t);
  const first = await startEdge(t, { stateDir });
  await first.invoke('redis-client', 'SetItem', 'before:the kill');
  const left = [await first.pidOf('redis'), await first.pidOf('redis-client')];
  // Redis writes its append-only file to disk once a second; the kill does not touch Redis, but a crash of both would.
  await sleep(1100);
  await first.kill();
  assert.deepEqual(left.map(runs), [true, true]);
  const refused = await first.run('list');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is not running any more; start it with/);

  const second = await startEdge(t, { stateDir });
  assert.deepEqual(left.map(runs), [false, false]);
  assert.match(second.output.stderr, /redis-client: ended the process of an earlier run/);
  assert.deepEqual((await second.invoke('redis-client', 'GetItem', 'before'))['payload'], {
    Message: 'the kill',
    Status: 200,
  });
});

test('edge stop ends it and waits until it has ended', async (t) => {
  const edge = await startEdge(t);
  const tree = treeOf(edge.facts.pid);
  assert.equal(await edge.ok('stop'), 'The local edge has stopped.\n');
  assert.deepEqual(tree.filter(runs), []);
});

test('Ctrl+C while it starts ends the start and leaves nothing', async (t) => {
  const stateDir = makeStateDir(t);
  const env = plainEnvironment();
  const args = [
    edgeProgram,
    'start',
    '--state',
    stateDir,
    '--port',
    '0',
    '--edge-hub-port',
    '0',
    '--no-https',
  ];
  const child = spawnInGroup(t, process.execPath, args, { cwd: projectRoot, env });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually(
    () => said,
    (text) => text.includes('redis: started'),
    30_000,
  );
  const tree = treeOf(child.pid ?? 0);
  const closed = new Promise((resolve) => child.once('close', resolve));
  process.kill(child.pid ?? 0, 'SIGINT');
  assert.equal(await closed, 130);
  await eventually(
    () => tree.filter(runs),
    (left) => left.length === 0,
    longestStopMs,
  );
});
