import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDesiredTracker } from '../../../../modules/common/src/edge/azure-desired.ts';
import type { DesiredTracker } from '../../../../modules/common/src/edge/azure-desired.ts';
import type { JsonObject } from '../../../../modules/common/src/edge/edge.ts';
import { applyPatch } from '../../../../modules/common/src/merge-patch.ts';

function started(section: JsonObject): DesiredTracker {
  const tracker = createDesiredTracker();
  tracker.connectionStarted();
  tracker.full(section);
  return tracker;
}

test('the first full read is delivered without $version and $metadata', () => {
  const tracker = createDesiredTracker();
  tracker.connectionStarted();
  assert.deepEqual(tracker.full({ a: 1, $version: 7, $metadata: { x: 1 } }), {
    document: { properties: { a: 1 }, version: 7 },
    incomplete: false,
  });
});

test('a patch is delivered as the whole document: null deletes, objects merge, arrays are replaced', () => {
  const tracker = started({ list: [1, 2, 3], deep: { a: 1, b: 2 }, gone: true, $version: 1 });
  const { document } = tracker.patch({ list: [9], deep: { b: null, c: 3 }, gone: null, $version: 2 });
  assert.deepEqual(document, { properties: { list: [9], deep: { a: 1, c: 3 } }, version: 2 });
});

test('an old patch and a patch that comes twice change nothing', () => {
  const tracker = started({ a: 1, $version: 5 });
  assert.deepEqual(tracker.patch({ a: 2, $version: 5 }), { incomplete: false });
  assert.deepEqual(tracker.patch({ a: 3, $version: 4 }), { incomplete: false });
  assert.equal(tracker.patch({ b: 1, $version: 6 }).document?.version, 6);
  assert.deepEqual(tracker.patch({ b: 2, $version: 6 }), { incomplete: false });
});

test('a gap asks for a full read, and is closed by the patch in between when that comes first', () => {
  const tracker = started({ a: 1, $version: 5 });
  assert.deepEqual(tracker.patch({ c: 7, $version: 7 }), { incomplete: true });
  assert.deepEqual(tracker.patch({ b: 6, $version: 6 }), {
    document: { properties: { a: 1, b: 6, c: 7 }, version: 7 },
    incomplete: false,
  });
});

test('patches that overtake the full read are applied on top of it', () => {
  const tracker = createDesiredTracker();
  tracker.connectionStarted();
  assert.equal(tracker.patch({ a: 3, $version: 3 }).document, undefined);
  assert.deepEqual(tracker.full({ a: 2, b: 2, $version: 2 }).document, {
    properties: { a: 3, b: 2 },
    version: 3,
  });
});

test('a full read older than what is known is not delivered', () => {
  const tracker = started({ a: 1, $version: 5 });
  tracker.patch({ a: 2, $version: 6 });
  assert.deepEqual(tracker.full({ a: 1, $version: 5 }), { incomplete: false });
});

test('a full read that a patch is already past still lacks what is in between', () => {
  const tracker = started({ a: 1, $version: 5 });
  tracker.patch({ a: 9, $version: 9 });
  assert.equal(tracker.full({ a: 7, $version: 7 }).incomplete, true);
  assert.equal(tracker.full({ a: 9, $version: 9 }).incomplete, false);
});

test('the same document after a reconnect is not delivered again', () => {
  const tracker = started({ a: 1, $version: 5 });
  tracker.connectionStarted();
  assert.equal(tracker.full({ a: 1, $version: 5 }).document, undefined);
});

test('a new version with the same content is delivered, as it has to be acknowledged', () => {
  const tracker = started({ a: 1, $version: 5 });
  tracker.connectionStarted();
  assert.equal(tracker.full({ a: 1, $version: 6 }).document?.version, 6);
});

test('a lower version is delivered after a reconnect, as the identity may be a new one', () => {
  const tracker = started({ a: 1, $version: 5 });
  tracker.connectionStarted();
  assert.deepEqual(tracker.full({ $version: 1 }).document, { properties: {}, version: 1 });
});

test('an edgeHub that has no copy of the twin does not take the settings away', () => {
  for (const section of [{}, { $version: 0 }, undefined, 'x']) {
    const tracker = started({ a: 1, $version: 5 });
    tracker.connectionStarted();
    assert.deepEqual(tracker.full(section), { incomplete: false });
    assert.equal(
      tracker.patch({ b: 1, $version: 6 }).incomplete,
      true,
      'the next patch asks for a full read',
    );
  }
});

test('what is delivered can be changed by the receiver without harm', () => {
  const tracker = createDesiredTracker();
  tracker.connectionStarted();
  const { document } = tracker.full({ deep: { a: 1 }, $version: 1 });
  assert.ok(document);
  document.properties['deep'] = 'changed';
  assert.deepEqual(tracker.patch({ b: 1, $version: 2 }).document?.properties, { deep: { a: 1 }, b: 1 });
});

test('in whatever order and however often patches come, versions never go back and the end is right', () => {
  const value = fc.oneof(fc.constant(null), fc.integer(), fc.array(fc.integer(), { maxLength: 3 }));
  const patch = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), value, { maxKeys: 3 });
  fc.assert(
    fc.property(
      fc.array(patch, { maxLength: 8 }),
      fc.array(fc.nat(7), { maxLength: 24 }),
      (patches, order) => {
        let whole: JsonObject = { a: 0 };
        for (const one of patches) whole = applyPatch(whole, one);
        const tracker = started({ a: 0, $version: 1 });
        let version = 1;
        const step = (document: { version: number } | undefined): void => {
          if (document === undefined) return;
          assert.ok(document.version >= version);
          version = document.version;
        };
        for (const index of order) {
          const one = patches[index];
          if (one !== undefined) step(tracker.patch({ ...one, $version: index + 2 }).document);
        }
        const last = tracker.full({ ...whole, $version: patches.length + 1 }).document;
        step(last);
        if (last !== undefined) assert.deepEqual(last.properties, whole);
        assert.equal(version, patches.length + 1);
      },
    ),
  );
});
