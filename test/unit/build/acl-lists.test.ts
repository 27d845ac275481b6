import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { compareLists, permitted, testsToWatch } from '../../acl-lists.ts';

const root = join(import.meta.dirname, '../../..');

function projectWith(t: TestContext, list: string, called: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'acl-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const env = { ACL_REDIS_CLIENT: { value: list } };
  writeFileSync(join(folder, 'deployment.template.json'), JSON.stringify({ env }, null, 2));
  const trace = { file: 'redis-client-items.test.ts', called };
  mkdirSync(join(folder, 'traces'));
  writeFileSync(join(folder, 'traces', 'one.json'), JSON.stringify(trace));
  return folder;
}

function findings(t: TestContext, list: string, called: readonly string[]): string[] {
  const folder = projectWith(t, list, called);
  return compareLists(folder, join(folder, 'traces'), ['redis-client']);
}

test('RD-22: a list that is what the module calls passes', (t) => {
  assert.deepEqual(
    findings(t, '~* +get +client|setname +ping +select', ['get', 'client|setname', 'auth']),
    [],
  );
});

test('RD-22: a command that was called and is not permitted is named with the place where it belongs', (t) => {
  assert.deepEqual(findings(t, '~* +get +ping +select', ['get', 'memory|usage']), [
    'redis-client calls memory|usage and may not: write +memory|usage into ACL_REDIS_CLIENT of deployment.template.json and deployment.debug.template.json',
  ]);
});

test('RD-22: a command that is permitted and was never called is named with the place where it goes', (t) => {
  assert.deepEqual(findings(t, '~* +get +flushall +ping +select', ['get']), [
    'redis-client may call flushall and no test saw it: take +flushall out of ACL_REDIS_CLIENT of deployment.template.json and deployment.debug.template.json',
  ]);
});

test('RD-22: a module of which nothing was seen fails, and so does a list without what every connection needs', (t) => {
  assert.match(findings(t, '~* +get', [])[0] ?? '', /no call of it was seen/);
  assert.match(findings(t, '~* +get +ping', ['get']).join(), /calls select and may not/);
});

test('RD-22: commands for a cluster or a Sentinel are not asked of the deployment', (t) => {
  assert.deepEqual(findings(t, '~* +get +ping +select', ['get', 'cluster|slots', 'asking']), []);
});

test('RD-22: what a replica calls at its primary is not asked of a module, and has to be seen where a list permits it', (t) => {
  assert.deepEqual(findings(t, '~* +get +ping +select', ['get', 'replconf', 'psync']), []);
  assert.match(findings(t, '~* +get +replconf +ping +select', ['get']).join(), /take \+replconf out/);
});

test('RD-22: every module with a list is watched, in tests that are there', () => {
  for (const module of permitted(root).keys()) {
    const [few, all] = [false, true].map((isWhole) =>
      testsToWatch(root, [module], isWhole).map(({ file }) => file),
    );
    assert(few !== undefined && few.length > 0, module);
    for (const file of few) assert(all?.includes(file), file);
  }
});
