import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@iotedge-redis/common';
import { createLog, text } from '@iotedge-redis/common';
import type { DesiredSettings } from '../../../../modules/common/src/settings/desired-settings.ts';
import { createDesiredSettings } from '../../../../modules/common/src/settings/desired-settings.ts';
import type { Parts } from '../../../../modules/common/src/runner/parts.ts';
import { createParts } from '../../../../modules/common/src/runner/parts.ts';
import { createReporter } from '../../../../modules/common/src/reported/reporter.ts';
import { createTwinAnswers } from '../../../../modules/common/src/reported/twin-answers.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';
import type { PartSettings, ScriptedPart } from '../../../helpers/scripted-part.ts';
import { scriptedPart } from '../../../helpers/scripted-part.ts';

const fields = {
  place: text({ env: 'PLACE', twin: 'place', default: 'local', description: '' }),
  filter: text({ env: 'FILTER', twin: 'filter', default: '*', description: '' }),
  key: text({ env: 'KEY', twin: 'key', default: 'hunter2', secret: true, description: '' }),
};

interface Bench extends ScriptedPart {
  readonly clock: HeldClock;
  readonly reported: () => JsonObject;
  readonly receive: (version: number, properties: JsonObject) => Promise<void>;
}

/** Desired properties, parts, answers and reports as the runner puts them together. */
async function bench(held: JsonObject = {}): Promise<Bench> {
  const scripted = scriptedPart();
  const clock = createHeldClock(Date.UTC(2026, 0, 31));
  const log = createLog({ write: () => undefined });
  const reporter = createReporter({
    send: () => Promise.resolve(),
    log,
    clock,
    minIntervalMs: 0,
    settleMs: 0,
  });
  const parts: Parts<PartSettings> = createParts<PartSettings>({
    parts: [scripted.part],
    isLive: () => false,
    log,
    clock,
    drainMs: 1000,
    onChange: () => answers.refresh(),
  });
  const apply = (): void => parts.apply({ settings: desired.settings, desired: desired.accepted });
  const desired: DesiredSettings<typeof fields> = createDesiredSettings({
    fields,
    sources: {},
    clock,
    onStoredInvalid: () => undefined,
    onAccepted() {
      apply();
      answers.refresh();
    },
    onRefused: () => answers.refresh(),
  });
  const answers = createTwinAnswers({
    fields,
    desired,
    parts,
    reporter,
    isOwn: (property) => property === 'own',
    clock,
  });
  reporter.set('own', 'of the module');
  apply();
  answers.refresh();
  reporter.connected(held);
  answers.refresh();
  await clock.advance(100);
  return {
    ...scripted,
    clock,
    reported: () => reporter.known ?? {},
    async receive(version, properties) {
      desired.receive({ version, properties });
      await clock.advance(400);
    },
  };
}

test('health is reported with the time since when it is so', async () => {
  const { reported, setHealth, clock } = await bench();
  const start = new Date(Date.UTC(2026, 0, 31)).toISOString();
  assert.deepEqual(reported()['health'], { state: 'ok', since: start });
  await clock.advance(60_000 - 100);
  setHealth('local', { state: 'down', detail: 'closed by peer' });
  await clock.advance(5000);
  setHealth('local', { state: 'down', detail: 'refused' });
  await clock.advance(5000);
  const since = new Date(Date.UTC(2026, 0, 31) + 60_000).toISOString();
  assert.deepEqual(reported()['health'], { state: 'down', detail: 'scripted: refused', since });
});

test('each desired property is answered, and its answer goes with it', async () => {
  const { reported, receive } = await bench();
  await receive(3, { place: 'a', filter: 'x' });
  assert.deepEqual(reported()['place'], { value: 'a', ac: 200, av: 3, ad: 'in use' });
  await receive(4, { place: 'a' });
  assert.deepEqual(reported()['place'], { value: 'a', ac: 200, av: 4, ad: 'in use' });
  assert.equal(reported()['filter'], undefined);
});

test('answers of an earlier run whose property is gone are removed, other properties are not', async () => {
  const { reported, receive } = await bench({
    gone: { value: 1, ac: 200, av: 1, ad: 'in use' },
    place: { value: 1, ac: 200, av: 1, ad: 'in use' },
    stats: { ac: 5 },
  });
  await receive(3, { place: 'a' });
  assert.deepEqual(Object.keys(reported()).sort(), ['health', 'own', 'place', 'stats']);
});

test('a place that does not work is answered with the one that does', async () => {
  const { reported, receive, starts } = await bench();
  await receive(1, { place: 'a' });
  starts['b'] = 'fails';
  await receive(2, { place: 'b' });
  assert.deepEqual(reported()['place'], { value: 'a', ac: 503, av: 2, ad: 'connecting to b: refused' });
});

test('a document with a mistake is answered with what is wrong and what is in use', async () => {
  const { reported, receive } = await bench();
  await receive(1, { place: 'a' });
  await receive(2, { place: '', filter: 'y', colour: 'red' });
  assert.deepEqual(reported()['place'], {
    value: 'a',
    ac: 400,
    av: 2,
    ad: 'expected a text that is not empty',
  });
  assert.deepEqual(reported()['filter'], {
    value: '*',
    ac: 424,
    av: 2,
    ad: 'not applied, because the document has mistakes: colour, place',
  });
  assert.deepEqual(reported()['colour'], {
    ac: 400,
    av: 2,
    ad: 'unknown; known are: place, filter, key',
  });
});

test('a secret is answered without its value', async () => {
  const { reported, receive } = await bench();
  await receive(1, { key: 'hunter3' });
  assert.deepEqual(reported()['key'], { ac: 200, av: 1, ad: 'in use' });
  assert.doesNotMatch(JSON.stringify(reported()), /hunter/);
});

test('an attempt that lasts is answered as under way after 5 s', async () => {
  const { reported, receive, starts, clock } = await bench();
  starts['b'] = 'hangs';
  await receive(1, { place: 'b' });
  await clock.advance(4000);
  assert.equal(reported()['place'], undefined);
  await clock.advance(1500);
  assert.deepEqual(reported()['place'], { value: 'local', ac: 202, av: 1, ad: 'being applied' });
});

test('a desired property of an unknown name does not write over what the module reports under that name', async () => {
  const { reported, receive } = await bench();
  await receive(1, { own: 1, health: 2 });
  const kept = [reported()['own'], (reported()['health'] as JsonObject)['state']];
  assert.deepEqual(kept, ['of the module', 'ok']);
  await receive(2, {});
  assert.equal(reported()['own'], 'of the module');
});
