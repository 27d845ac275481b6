import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { onEnd } from '../helpers/cleanup.ts';
import { makeStateDir, plainEnvironment, projectRoot, runEdge, startEdge } from '../helpers/edge-process.ts';
import type { Ended, ProgramOptions } from '../helpers/edge-process.ts';

/** A folder with the project's modules and a template of the test's own. */
function makeProject(t: TestContext, change: (template: string) => string): string {
  const folder = makeStateDir(t);
  symlinkSync(join(projectRoot, 'modules'), join(folder, 'modules'));
  copyFileSync(join(projectRoot, '.env.template'), join(folder, '.env'));
  const template = readFileSync(join(projectRoot, 'deployment.template.json'), 'utf8');
  writeFileSync(join(folder, 'deployment.template.json'), change(template));
  return folder;
}

/** A start that is to be refused. */
function start(cwd: string, flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const options: ProgramOptions = { cwd, env: plainEnvironment(env) };
  const ports = ['--port', '--edge-hub-port'].flatMap((flag) => (flags.includes(flag) ? [] : [flag, '0']));
  return runEdge(['start', '--no-https', ...ports, ...flags], options);
}

/** It ended with a code, after one message for a human. */
function refused(ended: Ended, code: number, ...texts: readonly RegExp[]): void {
  assert.equal(ended.code, code, ended.stderr);
  assert.equal(ended.stdout, '');
  assert.match(ended.stderr, /^edge: \S/m);
  assert.doesNotMatch(ended.stderr, /internal error|^\s+at /m);
  for (const text of texts) assert.match(ended.stderr, text);
}

test('a template that is not there, or cannot be read, is named', async (t) => {
  const folder = makeStateDir(t);
  refused(
    await start(folder),
    1,
    /deployment\.template\.json does not exist\. Start in the folder of .* --template FILE/,
  );
  mkdirSync(join(folder, 'deployment.template.json'));
  refused(await start(folder), 1, /deployment\.template\.json \(the deployment template\) cannot be read/);
  refused(await start(folder, ['--templat', 'x']), 2, /--templat\b.*--template/);
});

test('a template that is no JSON is named with line and column', async (t) => {
  const folder = makeProject(t, (text) => text.replace('"type": "docker",', '"type": "docker"'));
  refused(await start(folder), 1, /deployment\.template\.json:\d+:\d+: not JSON/);
});

test('all mistakes of a template are told at once, each with its place', async (t) => {
  const folder = makeProject(t, (text) =>
    text
      .replace('${REDIS_IMAGE}', '${REDIS_IMGE}')
      .replace('${MODULES.redis-client}', '${MODULES.redis-clint}')
      .replace('"restartPolicy": "always"', '"restartPolicy": "sometimes"'),
  );
  refused(
    await start(folder),
    1,
    /modules\.redis\.settings\.image.*\$\{REDIS_IMGE\} is not set\. Set it in \.env/,
    /no module "redis-clint" with a module\.json; there are .*redis-client/,
    /edgeHub\.restartPolicy.*never, on-failure, on-unhealthy, always/,
  );
});

test('a port that was asked for and is taken ends the start', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  onEnd(t, () => void server.close());
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  const stateDir = makeStateDir(t);
  for (const [flag, what] of [
    ['--port', 'the IoT Hub service API'],
    ['--edge-hub-port', 'edgeHub'],
  ] as const) {
    const ended = await start(projectRoot, ['--state', stateDir, flag, String(address.port)]);
    refused(
      ended,
      1,
      new RegExp(`Port ${address.port} for ${what}.* is in use\\. Free it, or give another with ${flag}`),
    );
  }
});

test('without any way to a Redis the start ends with the choices', async (t) => {
  const stateDir = makeStateDir(t);
  const nowhere = join(stateDir, 'nowhere');
  const ended = await start(projectRoot, ['--state', stateDir], {
    PATH: nowhere,
    HOME: nowhere,
    XDG_CACHE_HOME: nowhere,
  });
  refused(ended, 1, /No redis server was found\..*EDGE_REDIS_ADDRESS=127\.0\.0\.1:PORT.*on PATH.*Docker/);
});

test('what a command gets wrong is said in a sentence, and nothing is lost by it', async (t) => {
  const edge = await startEdge(t);
  await edge.invoke('redis-client', 'SetItem', 'kept:value');
  const version = async () => (await edge.json('module-twin', 'show', '-m', 'redis-client'))['etag'];
  const before = await version();
  const invoke = (payload: string) =>
    edge.run('invoke-module-method', '-m', 'redis-client', '--mn', 'SetItem', '--mp', payload);
  const file = (name: string, content: string) => {
    writeFileSync(join(edge.stateDir, name), content);
    return join(edge.stateDir, name);
  };
  const desire = (desired: string) =>
    edge.run('module-twin', 'update', '-m', 'redis-client', '--desired', desired);

  refused(
    await invoke('ping:pong'),
    1,
    /value of --method-payload is not JSON: at position 1 .*single quotes/,
  );
  refused(await invoke('{"key": "a", }'), 1, /not JSON: at position 14/);
  refused(
    await invoke(file('large.json', JSON.stringify('x'.repeat(131_071)))),
    1,
    /the payload has 131073 bytes, and a direct method takes 131072 \(128 KB\)/,
  );
  refused(await invoke('absent.json'), 1, /--method-payload: there is no file .*absent\.json/);

  const large = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`k${at}`, 'x'.repeat(4000)]));
  refused(
    await desire(file('twin.json', JSON.stringify(large))),
    1,
    /desired.*would have \d+ bytes.*32768 is the limit/,
  );
  refused(await desire('{"a.b": 1}'), 1, /key "a\.b" .*"\."/);
  refused(await desire('{"a": {"$b": 1}}'), 1, /key "\$b" in "a"/);
  refused(await desire('{"a b": 1}'), 1, /key "a b"/);
  refused(await desire(`{"a": "${'x'.repeat(5000)}"}`), 1, /"a" is longer than 4096 bytes/);
  refused(await desire('[1]'), 1, /--desired must be a JSON object/);

  refused(
    await edge.run('module-twin', 'show', '-m', 'redis-clint'),
    1,
    /no module redis-clint; there are .*redis-client/,
  );
  refused(
    await edge.run('invoke-module-methd', '-m', 'x'),
    2,
    /no verb invoke-module-methd.*invoke-module-method/,
  );
  refused(await edge.run('invoke-module-method', '-m', 'redis-client'), 2, /--method-name/);
  refused(
    await edge.run(
      'set-modules',
      '--content',
      file(
        'manifest.json.txt',
        '{"modulesContent":{"$edgeHub":{"properties.desired":{"schemaVersion":"9"}}}}',
      ),
    ),
    1,
    /schemaVersion/,
  );

  assert.equal(await version(), before);
  assert.deepEqual((await edge.invoke('redis-client', 'GetItem', 'kept'))['payload'], {
    Message: 'value',
    Status: 200,
  });
});

test('a command without a local edge says how to start one', async (t) => {
  const stateDir = makeStateDir(t);
  const env = { ...plainEnvironment(), EDGE_STATE: stateDir };
  refused(
    await runEdge(['list'], { env }),
    1,
    /the local edge is not running: .*start it with `npx edge start`/,
  );
});
