import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { JsonObject, JsonValue } from '../../../local-edge/src/hub/hub-api.ts';
import { TwinStore } from '../../../local-edge/src/hub/twin-store.ts';

function temporary(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'twins-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  return join(dir, 'twins.json');
}

function store(t: TestContext): TwinStore {
  const twins = new TwinStore(temporary(t), () => Date.UTC(2026, 0, 31));
  twins.create('m');
  return twins;
}

const time = '2026-01-31T00:00:00.000Z';

test('a new twin has both sections at 1 and is at 2, with the first etag', (t) => {
  const twin = store(t).get('m');
  assert.equal(twin?.version, 2);
  assert.equal(twin.etag, 'AAAAAAAAAAE=');
  const section = { properties: {}, version: 1, metadata: { $lastUpdated: time } };
  assert.deepEqual([twin.desired, twin.reported], [section, section]);
});

test('a patch merges objects, replaces arrays, deletes by null and counts one version, also without a change', (t) => {
  const twins = store(t);
  twins.patchDesired('m', { desired: { a: { b: 1, c: 2 }, list: [1, 2], gone: true } });
  twins.patchDesired('m', { desired: { a: { b: 3 }, list: [9], gone: null } });
  twins.patchDesired('m', { desired: { list: [9] } });
  const twin = twins.get('m');
  assert.deepEqual(twin?.desired.properties, { a: { b: 3, c: 2 }, list: [9] });
  assert.equal(twin.desired.version, 4);
  assert.equal(twin.reported.version, 1);
  assert.equal(twin.version, 5);
  assert.equal(twin.etag, 'AAAAAAAAAAQ=');
});

test('metadata of desired says when and in which version each property changed', (t) => {
  const twins = store(t);
  twins.patchDesired('m', { desired: { a: { b: 1 }, c: 1 } });
  twins.patchDesired('m', { desired: { a: { d: 1 }, c: null } });
  const stamp = (version: number) => ({ $lastUpdated: time, $lastUpdatedVersion: version });
  assert.deepEqual(twins.get('m')?.desired.metadata, {
    ...stamp(3),
    a: { ...stamp(3), b: stamp(2), d: stamp(3) },
  });
  twins.patchReported('m', { x: 1 });
  assert.deepEqual(twins.get('m')?.reported.metadata, { $lastUpdated: time, x: { $lastUpdated: time } });
});

test('a replacement reaches listeners as a patch with nulls for what is gone', (t) => {
  const twins = store(t);
  twins.patchDesired('m', { desired: { a: { b: 1, c: 2 }, d: 1 } });
  const seen: unknown[] = [];
  const stop = twins.onDesired((moduleId, patch, version) => void seen.push([moduleId, patch, version]));
  twins.replaceDesired('m', { desired: { a: { b: 1 }, e: null } });
  assert.deepEqual(seen, [['m', { a: { b: 1, c: null }, d: null }, 3]]);
  assert.deepEqual(twins.get('m')?.desired.properties, { a: { b: 1 } });
  stop();
  twins.patchDesired('m', { desired: {} });
  assert.equal(seen.length, 1);
});

test('tags alone change no section, and what only the service writes is ignored', (t) => {
  const twins = store(t);
  twins.patchDesired('m', { tags: { site: 'x' } });
  twins.patchDesired('m', { desired: { a: 1, $version: 77, $metadata: { a: {} } } });
  const twin = twins.get('m');
  assert.deepEqual(twin?.tags, { site: 'x' });
  assert.deepEqual(twin.desired.properties, { a: 1 });
  assert.equal(twin.desired.version, 2);
  assert.equal(twin.version, 4);
});

test('breaches of the twin rules are refused and change nothing', (t) => {
  const twins = store(t);
  const deep = (levels: number): JsonValue => (levels === 0 ? 1 : { n: deep(levels - 1) });
  const refused: JsonObject[] = [
    { 'a.b': 1 },
    { 'a b': 1 },
    { $a: 1 },
    { 'a\u0001': 1 },
    { ['k'.repeat(1025)]: 1 },
    { a: 'x'.repeat(4097) },
    { a: [1, null] },
    { a: [{ b: null }] },
    { a: 4503599627370496 },
    { a: -4503599627370497 },
    { a: deep(11) },
  ];
  for (const patch of refused) {
    assert.equal(twins.patchDesired('m', { desired: patch }).ok, false, Object.keys(patch)[0]);
    assert.equal(twins.patchReported('m', patch).ok, false, Object.keys(patch)[0]);
  }
  const accepted: JsonObject[] = [
    { ['k'.repeat(1024)]: 1 },
    { a: 'x'.repeat(4096) },
    { a: 4503599627370495, b: -4503599627370496, c: 1e15 + 0.5 },
    { a: deep(10) },
  ];
  for (const patch of accepted) assert.deepEqual(twins.patchReported('m', patch).ok, true);
  assert.equal(twins.patchReported('m', { 'a#b': 1 }).ok, false, 'edgeHub keeps # for itself');
  assert.equal(twins.patchDesired('m', { desired: { 'a#b': 1 } }).ok, true);
  assert.equal(twins.get('m')?.desired.version, 2);
});

test('the service looks at the size of the result, edgeHub at the patch alone', (t) => {
  const twins = store(t);
  const part = (name: string) => ({
    [name]: ['x'.repeat(4000), 'y'.repeat(4000), 'z'.repeat(4000), 'w'.repeat(4000)],
  });
  assert.ok(twins.patchDesired('m', { desired: part('a') }).ok);
  assert.ok(twins.patchDesired('m', { desired: part('b') }).ok);
  assert.equal(twins.patchDesired('m', { desired: part('c') }).ok, false);
  for (const name of ['a', 'b', 'c']) assert.ok(twins.patchReported('m', part(name)).ok);
  assert.equal(twins.patchReported('m', { ...part('a'), ...part('b'), ...part('c') }).ok, false);
  const tags = { a: 'x'.repeat(4000), b: 'y'.repeat(4000), c: 'z'.repeat(300) };
  assert.equal(twins.patchDesired('m', { desired: { q: 1 }, tags }).ok, false);
  assert.equal(twins.get('m')?.desired.properties['q'], undefined, 'all or nothing');
});

test('twins are in their file when a call returns', (t) => {
  const file = temporary(t);
  const first = new TwinStore(file, Date.now);
  first.create('m');
  first.patchDesired('m', { desired: { a: 1 }, tags: { t: 1 } });
  first.patchReported('m', { b: 2 });
  const second = new TwinStore(file, Date.now);
  assert.deepEqual(second.get('m'), first.get('m'));
  second.remove('m');
  assert.equal(new TwinStore(file, Date.now).get('m'), undefined);
});
