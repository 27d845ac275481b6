import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { EdgeError } from '../../../local-edge/src/errors.ts';
import type { ConfigurationContent } from '../../../local-edge/src/hub/hub-api.ts';
import { createHub, type HubCore } from '../../../local-edge/src/hub/hub.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hub-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  return dir;
}

function open(stateDir: string): HubCore {
  return createHub({ stateDir, deviceId: 'dev1', hostName: 'localhost' });
}

const content: ConfigurationContent = {
  modulesContent: {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules: { a: {}, b: {} } } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {} } },
    a: { 'properties.desired': { x: { y: 1 } }, 'properties.desired.x.z': 2, 'properties.desired.w': [3] },
    c: { 'properties.desired.only': true },
  },
};

test('the system modules exist before any deployment, with twins and without a connection', (t) => {
  const hub = open(folder(t));
  assert.deepEqual(
    hub.identities.list().map(({ moduleId }) => moduleId),
    ['$edgeAgent', '$edgeHub'],
  );
  assert.equal(hub.twins.get('$edgeAgent')?.version, 2);
  assert.equal(hub.identities.connection('$edgeHub').stateUpdatedTime, '0001-01-01T00:00:00Z');
});

test('a deployment creates the identities of all modules it names and sets their desired sections', async (t) => {
  const hub = open(folder(t));
  let told: ConfigurationContent | undefined;
  hub.onConfiguration((applied) => {
    told = applied;
    assert.ok(hub.identities.get('b'), 'everything is in place when listeners are told');
  });
  await hub.applyConfiguration(content);
  assert.equal(told, content);
  const ids = hub.identities.list().map(({ moduleId }) => moduleId);
  assert.deepEqual(ids.toSorted(), ['$edgeAgent', '$edgeHub', 'a', 'b', 'c']);
  assert.equal(hub.identities.get('b')?.managedBy, 'IotEdge');
  assert.deepEqual(hub.twins.get('a')?.desired.properties, { x: { y: 1, z: 2 }, w: [3] });
  assert.deepEqual(hub.twins.get('c')?.desired.properties, { only: true });
  assert.equal(hub.twins.get('b')?.desired.version, 1);
});

test('a deployment replaces whole sections, and paths alone leave the rest', async (t) => {
  const hub = open(folder(t));
  await hub.applyConfiguration(content);
  await hub.applyConfiguration({
    modulesContent: { a: { 'properties.desired': { n: 1 } }, c: { 'properties.desired.more': 1 } },
  });
  assert.deepEqual(hub.twins.get('a')?.desired.properties, { n: 1 });
  assert.equal(hub.twins.get('a')?.desired.version, 3);
  assert.deepEqual(hub.twins.get('c')?.desired.properties, { only: true, more: 1 });
});

test('a wrong deployment is refused whole, with one sentence per finding', async (t) => {
  const hub = open(folder(t));
  const wrong = {
    modulesContent: {
      'bad name': { 'properties.desired': {} },
      good: { 'properties.desired': { 'a.b': 1 }, other: 1 },
      big: { 'properties.desired': { a: Array<string>(9).fill('x'.repeat(4000)) } },
      $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: { r: 'FROM nowhere' } } },
    },
  };
  await assert.rejects(hub.applyConfiguration(wrong), (error) => {
    assert.ok(error instanceof EdgeError);
    assert.equal(error.code, 'INVALID_CONFIGURATION');
    assert.equal(error.message.split('\n').length, 5);
    return true;
  });
  assert.equal(hub.identities.get('good'), undefined);
});

test('identities keep their keys over a restart and lose everything when removed', async (t) => {
  const dir = folder(t);
  const first = open(dir);
  await first.applyConfiguration(content);
  const second = open(dir);
  assert.deepEqual(second.identities.list(), first.identities.list());
  assert.deepEqual(second.identities.deviceKeys, first.identities.deviceKeys);
  assert.equal(second.identities.remove('a'), true);
  assert.equal(second.identities.remove('a'), false);
  assert.equal(second.twins.get('a'), undefined);
  second.identities.add('a');
  assert.equal(second.twins.get('a')?.version, 2);
  assert.notEqual(second.identities.get('a')?.primaryKey, first.identities.get('a')?.primaryKey);
});

test('a state file that is no JSON is named', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'twins.json'), '{');
  assert.throws(
    () => open(dir),
    (error) => error instanceof EdgeError && error.message.includes('twins.json'),
  );
});

test('upstream events are kept in a bounded ring and over a restart', (t) => {
  const dir = folder(t);
  const hub = open(dir);
  const event = {
    enqueuedTime: 't',
    deviceId: 'dev1',
    moduleId: 'a',
    output: null,
    system: {},
    application: {},
  };
  for (let n = 0; n < 1010; n += 1) hub.events.add({ ...event, body: Buffer.from(String(n)) });
  assert.equal(hub.events.recent().length, 1000);
  const again = open(dir);
  assert.deepEqual(again.events.recent(), hub.events.recent());
  assert.equal(again.events.recent(1008).length, 1);
  again.events.add({ ...event, body: Buffer.from('next') });
  assert.equal(again.events.recent().at(-1)?.sequenceNumber, 1010);
});
