import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import type { MethodCall, MethodOutcome } from '../../local-edge/src/hub/hub-api.ts';
import { deploymentOf } from '../helpers/deployment.ts';
import type { CommandFixture } from '../helpers/edge-command.ts';
import { startForCommand } from '../helpers/edge-command.ts';

describe('the edge command against the hub', () => {
  let fixture: CommandFixture;
  let outcome: (call: MethodCall) => MethodOutcome;
  let lastCall: MethodCall | undefined;

  before(async () => {
    fixture = await startForCommand();
    fixture.service.hub.identities.add('worker');
    fixture.service.hub.attach({
      invoke: (call) => {
        lastCall = call;
        return Promise.resolve(outcome(call));
      },
      drop: () => undefined,
      loseSessions: () => undefined,
      recheckTokens: () => undefined,
      forget: () => undefined,
    });
  });
  after(() => fixture.stop());

  const invoke = (...more: string[]) =>
    fixture.edge('invoke-module-method', '-m', 'worker', '--mn', 'SetItem', ...more);

  it('prints the reply of a method as the README shows it, status first', async () => {
    outcome = () => ({ kind: 'reply', status: 200, payload: { Message: 'pong', Status: 200 } });
    const { code, stdout, stderr } = await invoke('--mp', '"ping:pong"');
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.equal(
      stdout,
      '{\n    "status": 200,\n    "payload": {\n        "Message": "pong",\n        "Status": 200\n    }\n}\n',
    );
    assert.equal(lastCall?.payload, 'ping:pong');
  });

  it('exits with 0 when the module answered, whatever its status', async () => {
    outcome = () => ({ kind: 'reply', status: 503, payload: null });
    const { code, stdout } = await invoke();
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), { status: 503, payload: null });
    assert.deepEqual(lastCall?.payload, {}, 'the default payload is that of az');
  });

  it('reads a payload from a file, and takes one that begins with a dash', async () => {
    outcome = (call) => ({ kind: 'reply', status: 200, payload: call.payload });
    writeFileSync(join(fixture.root, 'payload.json'), '\uFEFF{"a": "ü"}');
    const fromFile = await invoke('--method-payload', 'payload.json');
    assert.deepEqual(JSON.parse(fromFile.stdout), { status: 200, payload: { a: 'ü' } });
    assert.deepEqual(JSON.parse((await invoke('--mp', '-5')).stdout), { status: 200, payload: -5 });
    assert.deepEqual(JSON.parse((await invoke('--mp=[1]')).stdout), { status: 200, payload: [1] });
  });

  it('uses --to for both time-outs', async () => {
    outcome = () => ({ kind: 'reply', status: 200, payload: null });
    await invoke('--to', '20');
    assert.equal(lastCall?.connectTimeoutMs, 19_500);
    assert.equal(lastCall.responseTimeoutMs, 19_500);
  });

  const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'a payload that is no JSON',
      ['--mp', 'ping:pong'],
      /--method-payload is not JSON: at position 1 .*single quotes/,
    ],
    ['a payload cut off', ['--mp', '{"a": 1, }'], /at position 10 there should be a key in double quotes/],
    ['a payload over 128 KB', ['--mp', `"${'x'.repeat(131_072)}"`], /131074 bytes.*131072 \(128 KB\)/],
    ['a file that is not there', ['--mp', 'nothing.json'], /no file .*nothing\.json/],
    ['a time-out out of range', ['--to', '4'], /from 5 to 300/],
    ['a time-out that is no number', ['--to', 'soon'], /--timeout must be a whole number/],
  ];
  for (const [what, argv, pattern] of refusals) {
    it(`says what is wrong with ${what} and does not call the module`, async () => {
      lastCall = undefined;
      const { code, stdout, stderr } = await invoke(...argv);
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, pattern);
      assert.match(stderr, /^edge: [^\n]+\n$/);
      assert.equal(lastCall, undefined);
    });
  }

  it('names the modules there are when the one asked for is not', async () => {
    const { code, stderr } = await fixture.edge('invoke-module-method', '-m', 'wroker', '--mn', 'x');
    assert.equal(code, 1);
    assert.match(stderr, /no module wroker; there are \$edgeAgent, \$edgeHub, worker/);
  });

  it('explains a module that is not connected and one that does not answer', async () => {
    outcome = () => ({ kind: 'notOnline' });
    const offline = await invoke();
    assert.equal(offline.code, 1);
    assert.match(offline.stderr, /worker is not connected.*404103.*edge logs worker/);
    outcome = () => ({ kind: 'timeout', requestId: 'r' });
    const silent = await invoke('--to', '10');
    assert.equal(silent.code, 1);
    assert.match(silent.stderr, /did not answer SetItem within 10 s \(504101\)/);
  });

  it('updates and shows a twin', async () => {
    const updated = await fixture.edge(
      'module-twin',
      'update',
      '-m',
      'worker',
      '--desired',
      '{"endpoint":"redis:6379"}',
    );
    assert.equal(updated.code, 0, updated.stderr);
    const set = await fixture.edge(
      'module-twin',
      'update',
      '-m',
      'worker',
      '--set',
      'properties.desired.deep.n=5',
      'properties.desired.__proto__.n=6',
      'tags.site=a=b',
    );
    assert.equal(set.code, 0, set.stderr);
    const { stdout } = await fixture.edge('module-twin', 'show', '--module-id', 'worker');
    assert.match(stdout, /^\{\n {4}"deviceId": "dev-1",\n {4}"moduleId": "worker",/);
    const twin = JSON.parse(stdout) as { tags: unknown; properties: { desired: Record<string, unknown> } };
    assert.equal(twin.properties.desired['endpoint'], 'redis:6379');
    assert.deepEqual(twin.properties.desired['deep'], { n: 5 });
    const inner = Object.entries(twin.properties.desired).find(([key]) => key === '__proto__');
    assert.deepEqual(inner, ['__proto__', { n: 6 }]);
    assert.deepEqual(twin.tags, { site: 'a=b' });
  });

  it('replaces a twin, and not one that has changed meanwhile', async () => {
    const replaced = await fixture.edge(
      'module-twin',
      'replace',
      '-m',
      'worker',
      '-j',
      '{"properties":{"desired":{"only":1}}}',
    );
    assert.equal(replaced.code, 0, replaced.stderr);
    assert.doesNotMatch(replaced.stdout, /redis:6379/);
    const stale = await fixture.edge('module-twin', 'update', '-m', 'worker', '--tags', '{}', '-e', 'AAAA');
    assert.equal(stale.code, 1);
    assert.match(stale.stderr, /etag is another; read it again/);
  });

  it('explains what a twin cannot hold', async () => {
    const key = await fixture.edge('module-twin', 'update', '-m', 'worker', '--desired', '{"a.b": 1}');
    assert.equal(key.code, 1);
    assert.match(key.stderr, /updating the twin of worker: .*"a\.b".*must not hold/);
    const big = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`k${index}`, 'x'.repeat(4000)]));
    const size = await fixture.edge(
      'module-twin',
      'update',
      '-m',
      'worker',
      '--desired',
      JSON.stringify(big),
    );
    assert.match(size.stderr, /32768/);
    const system = await fixture.edge('module-twin', 'update', '-m', '$edgeHub', '--desired', '{"a": 1}');
    assert.match(system.stderr, /use edge set-modules/);
    const nothing = await fixture.edge('module-twin', 'update', '-m', 'worker');
    assert.equal(nothing.code, 2);
    assert.match(nothing.stderr, /needs --desired, --tags or --set/);
  });

  it('deploys a manifest, with or without the outer content, and prints the identities', async () => {
    writeFileSync(join(fixture.root, 'manifest.json'), JSON.stringify({ content: deploymentOf('deployed') }));
    const { code, stdout, stderr } = await fixture.edge('set-modules', '-k', 'manifest.json');
    assert.equal(code, 0, stderr);
    const ids = (JSON.parse(stdout) as { moduleId: string }[]).map(({ moduleId }) => moduleId);
    assert.ok(ids.includes('deployed'));
    const list = await fixture.edge('module-identity', 'list');
    assert.equal(list.stdout, stdout);
  });

  it('says what is wrong with a manifest', async () => {
    const noManifest = await fixture.edge('set-modules', '--content', '{}');
    assert.equal(noManifest.code, 1);
    assert.match(noManifest.stderr, /no modulesContent/);
    const invalid = await fixture.edge('set-modules', '--content', '{"modulesContent": {"bad name": {}}}');
    assert.match(invalid.stderr, /deploying the manifest: .*bad name/);
  });

  it('says in one line that JSON is nested too deeply, wherever it comes from', async () => {
    const deep = (open: string, close: string): string => open.repeat(50_000) + close.repeat(50_000);
    const texts = [
      deep('[', ']'),
      `{"modulesContent":${deep('{"a":', '}').replace('}', '1}')}}`,
      deep('[', ''),
    ];
    for (const text of texts) {
      writeFileSync(join(fixture.root, 'deep.json'), text);
      const { code, stdout, stderr } = await fixture.edge('set-modules', '-k', 'deep.json');
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^edge: the file \S*deep\.json is nested deeper than 100 levels\n$/);
    }
    const set = `properties.desired.a=${deep('[', ']')}`;
    const { code, stderr } = await fixture.edge('module-twin', 'update', '-m', 'worker', '--set', set);
    assert.equal(code, 1);
    assert.match(stderr, /^edge: the value of --set is nested deeper than 100 levels\n$/);
  });

  it('refuses another device by naming the one there is', async () => {
    const { code, stderr } = await invoke('-d', 'dev-2');
    assert.equal(code, 1);
    assert.match(stderr, /no device dev-2; the local edge has dev-1/);
  });

  it('finds the state folder from below, by environment and by flag', async () => {
    const below = join(fixture.root, 'a', 'b');
    mkdirSync(below, { recursive: true });
    const argv = ['module-identity', 'list'];
    assert.equal((await fixture.run(argv, { cwd: below })).code, 0);
    assert.equal(
      (await fixture.run(argv, { cwd: '/', env: { EDGE_STATE: join(fixture.root, '.edge') } })).code,
      0,
    );
    assert.equal(
      (await fixture.run([...argv, '--state', join(fixture.root, '.edge')], { cwd: '/' })).code,
      0,
    );
  });

  it('says that the local edge is not running, and how to start it', async () => {
    const argv = ['module-identity', 'list'];
    const nowhere = await fixture.run(argv, { cwd: '/' });
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /not running here: there is no \.edge folder.*npx edge start/);
    const empty = await fixture.run([...argv, '--state', join(fixture.root, 'a')]);
    assert.match(empty.stderr, /not running: there is no .*hub\.json; start it with `npx edge start`/);
    fixture.writeHubFacts({ pid: 2 ** 22 - 1 });
    const stale = await fixture.run(argv);
    assert.match(stale.stderr, /hub\.json is not running any more; start it/);
    fixture.writeHubFacts({ port: 1 });
    const refused = await fixture.run(argv);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /does not answer on port 1 /);
    fixture.writeHubFacts();
  });
});
