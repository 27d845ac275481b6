import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredDocument, JsonObject, Sources } from '@iotedge-redis/common';
import { ConfigError, integer, text } from '@iotedge-redis/common';
import type { DesiredSettings } from '../../../../modules/common/src/settings/desired-settings.ts';
import { createDesiredSettings } from '../../../../modules/common/src/settings/desired-settings.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';

const fields = {
  host: text({ env: 'HOST', twin: 'host', default: 'localhost', description: '' }),
  port: integer({ env: 'PORT', twin: 'port', min: 1, default: 6379, description: '' }),
};

interface Bench {
  readonly clock: HeldClock;
  readonly events: string[];
  readonly desired: DesiredSettings<typeof fields>;
  readonly receive: (version: number, properties: JsonObject) => void;
}

function bench(sources: Sources = {}, stored?: DesiredDocument): Bench {
  const clock = createHeldClock();
  const events: string[] = [];
  const desired = createDesiredSettings({
    fields,
    sources,
    stored,
    clock,
    check: ({ host, port }) =>
      host === 'odd' && port === 1 ? [{ name: 'port', problem: 'not with odd' }] : [],
    onStoredInvalid: (error) => events.push(`stored: ${error.message}`),
    onAccepted: ({ version }) => events.push(`accepted ${version}`),
    onRefused: ({ version }, error) => events.push(`refused ${version}: ${error.message}`),
  });
  return {
    clock,
    events,
    desired,
    receive: (version, properties) => desired.receive({ version, properties }),
  };
}

test('before the hub has said anything, the settings are those of the host', () => {
  const { desired } = bench({ environment: { HOST: 'env' } });
  assert.deepEqual({ ...desired.settings }, { host: 'env', port: 6379 });
  assert.deepEqual([desired.accepted, desired.acceptedVersion, desired.newest], [{}, undefined, undefined]);
});

test('mistakes of the host end the start', () => {
  assert.throws(() => bench({ environment: { PORT: 'x' } }), ConfigError);
});

test('changes that come within 250 ms are looked at once, the newest only', async () => {
  const { desired, events, receive, clock } = bench();
  receive(1, { host: 'a' });
  await clock.advance(200);
  receive(2, { host: 'b' });
  await clock.advance(49);
  assert.deepEqual(events, []);
  await clock.advance(1);
  assert.deepEqual(events, ['accepted 2']);
  assert.deepEqual([desired.settings.host, desired.acceptedVersion], ['b', 2]);
  await clock.advance(10_000);
  receive(3, { host: 'c' });
  await clock.advance(250);
  assert.deepEqual(events, ['accepted 2', 'accepted 3']);
});

test('an uninterrupted stream of changes does not put them off for ever', async () => {
  const { events, receive, clock } = bench();
  for (let version = 1; version <= 10; version += 1) {
    receive(version, {});
    await clock.advance(100);
  }
  assert.deepEqual(events, ['accepted 3', 'accepted 6', 'accepted 9']);
});

test('a document with a mistake changes nothing, and says everything that is wrong', async () => {
  const { desired, events, receive, clock } = bench();
  receive(1, { host: 'good', port: 1 });
  await clock.advance(250);
  receive(2, { host: 'better', port: 'x', hots: 'y' });
  await clock.advance(250);
  assert.deepEqual({ ...desired.settings }, { host: 'good', port: 1 });
  assert.deepEqual([desired.accepted, desired.acceptedVersion], [{ host: 'good', port: 1 }, 1]);
  assert.equal(desired.newest?.document.version, 2);
  assert.deepEqual(
    desired.newest.mistakes.map(({ name }) => name),
    ['hots', 'port'],
  );
  assert.match(events.at(-1) ?? '', /^refused 2: twin hots: unknown; did you mean host\?/);
  receive(3, { host: 'better' });
  await clock.advance(250);
  assert.deepEqual([desired.settings.host, desired.newest.mistakes], ['better', []]);
});

test('mistakes that several settings together make count as well', async () => {
  const { events, receive, clock } = bench();
  receive(1, { host: 'odd', port: 1 });
  await clock.advance(250);
  assert.deepEqual(events, ['refused 1: twin port: not with odd']);
});

test('null, and the absence of a property, fall back to what the host says', async () => {
  const { desired, receive, clock } = bench({ environment: { HOST: 'env' } });
  receive(1, { host: 'twin', port: 7 });
  await clock.advance(250);
  receive(2, { host: null });
  await clock.advance(250);
  assert.deepEqual({ ...desired.settings }, { host: 'env', port: 6379 });
});

test('a hub that counts anew is followed', async () => {
  const { desired, receive, clock } = bench();
  receive(70, { host: 'a' });
  await clock.advance(250);
  receive(1, { host: 'b' });
  await clock.advance(250);
  assert.deepEqual([desired.settings.host, desired.acceptedVersion], ['b', 1]);
});

test('what was kept from an earlier run counts until the hub is there', async () => {
  const { desired, receive, clock } = bench({}, { version: 4, properties: { host: 'kept' } });
  assert.deepEqual([desired.settings.host, desired.acceptedVersion, desired.newest], ['kept', 4, undefined]);
  receive(5, {});
  await clock.advance(250);
  assert.equal(desired.settings.host, 'localhost');
});

test('what was kept and is no longer valid is left aside', () => {
  const { desired, events } = bench({}, { version: 4, properties: { oldName: 1 } });
  assert.equal(desired.settings.host, 'localhost');
  assert.match(events[0] ?? '', /^stored: twin oldName: unknown/);
});

test('after the stop nothing is applied any more', async () => {
  const { desired, events, receive, clock } = bench();
  receive(1, {});
  desired.stop();
  await clock.advance(1000);
  assert.deepEqual([events, clock.pending], [[], 0]);
});
