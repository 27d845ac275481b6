import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '@iotedge-redis/common';
import type { Parts } from '../../../../modules/common/src/runner/parts.ts';
import { createParts } from '../../../../modules/common/src/runner/parts.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';
import type { PartSettings, ScriptedPart } from '../../../helpers/scripted-part.ts';
import { scriptedPart } from '../../../helpers/scripted-part.ts';

interface Bench {
  readonly parts: Parts<PartSettings>;
  readonly source: ScriptedPart;
  readonly sink: ScriptedPart;
  readonly lines: string[];
  readonly clock: HeldClock;
  readonly apply: (settings: Partial<PartSettings>) => Promise<void>;
}

function bench(): Bench {
  const source = scriptedPart({ name: 'source', uses: ['place'] });
  const sink = scriptedPart({ name: 'sink', uses: ['filter'] });
  const clock = createHeldClock();
  const lines: string[] = [];
  const parts = createParts<PartSettings>({
    parts: [source.part, sink.part],
    isLive: () => false,
    log: createLog({ write: (line) => void lines.push(line.slice(35).trim()) }),
    clock,
    drainMs: 1000,
    onChange: () => undefined,
  });
  return {
    parts,
    source,
    sink,
    lines,
    clock,
    async apply(settings) {
      parts.apply({ settings: { place: 'a', filter: '*', ...settings }, desired: {} });
      await clock.advance(0);
    },
  };
}

test('a module is ready when every part is, and says so once', async () => {
  const { parts, source, clock, apply } = bench();
  let told = 0;
  parts.onceReady(() => (told += 1));
  source.starts['a'] = 'fails';
  await apply({});
  assert.equal(parts.isReady(), false);
  assert.deepEqual(parts.readiness(), {
    isReady: false,
    body: {
      ready: false,
      state: 'down',
      detail: 'source: connecting to a: refused',
      parts: [
        { name: 'source', state: 'down', detail: 'connecting to a: refused' },
        { name: 'sink', state: 'ok' },
      ],
    },
  });
  assert.equal(parts.whyDown(), 'source: connecting to a: refused');
  source.starts['a'] = 'works';
  await clock.advance(1000);
  source.setHealth('a', { state: 'down' });
  source.setHealth('a', { state: 'ok' });
  assert.deepEqual([parts.isReady(), told], [true, 1]);
  parts.onceReady(() => (told += 1));
  assert.equal(told, 2);
});

test('only the parts that use a changed setting are made anew', async () => {
  const { source, sink, apply } = bench();
  await apply({});
  await apply({ filter: 'x' });
  assert.deepEqual(source.events, ['create a', 'start a']);
  assert.deepEqual(sink.events, ['create a', 'start a', 'create a', 'start a', 'stop a']);
});

test('the state of a setting is the worst of the parts that use it', async () => {
  const { parts, source, apply } = bench();
  assert.deepEqual(parts.keyState('place'), { kind: 'pending' });
  source.starts['a'] = 'fails';
  await apply({});
  assert.deepEqual(parts.keyState('place'), { kind: 'failed', detail: 'connecting to a: refused' });
  assert.deepEqual(parts.keyState('filter'), { kind: 'in use' });
  assert.equal(parts.inUse('filter')?.settings.filter, '*');
});

test('a setting that no part uses is in use', () => {
  const none = createParts<PartSettings>({
    parts: [],
    isLive: () => false,
    log: createLog({ write: () => undefined }),
    clock: createHeldClock(),
    drainMs: 1,
    onChange: () => undefined,
  });
  assert.deepEqual(none.keyState('place'), { kind: 'in use' });
  assert.equal(none.inUse('place'), undefined);
  assert.deepEqual([none.isReady(), none.method('Where')], [true, undefined]);
  assert.match(none.whyDown(), /no part of the module answers this method/);
});

test('what happens to a part that has worked is logged when it changes, and a first start only when it succeeds', async () => {
  const { source, lines, apply, clock } = bench();
  source.starts['a'] = 'fails';
  await apply({});
  source.starts['a'] = 'works';
  await clock.advance(1000);
  source.setHealth('a', { state: 'down', detail: 'closed by peer' });
  source.setHealth('a', { state: 'down', detail: 'refused' });
  source.setHealth('a', { state: 'degraded', detail: 'no AOF' });
  source.setHealth('a', { state: 'ok' });
  assert.deepEqual(
    lines.filter((line) => !line.includes('sink')).map((line) => line.replace(/,"failures".*/, '')),
    [
      '[WRN] a part did not start and is tried again {"part":"source","error":"connecting to a: refused"',
      '[INF] part works {"part":"source"}',
      '[ERR] part is down {"part":"source","detail":"closed by peer"}',
      '[WRN] part works with limits {"part":"source","detail":"no AOF"}',
      '[INF] part works {"part":"source"}',
    ],
  );
});

test('the parts stop in reverse order', async () => {
  const { parts, source, sink, apply } = bench();
  await apply({});
  const order: string[] = [];
  for (const [name, stop] of parts.stops(new AbortController().signal)) {
    await stop();
    order.push(`${name} ${source.events.at(-1) === 'stop a'} ${sink.events.at(-1) === 'stop a'}`);
  }
  assert.deepEqual(order, ['sink false true', 'source true true']);
});

test('a method is answered by the first part that offers it', async () => {
  const { parts, apply } = bench();
  assert.equal(parts.method('Where'), undefined);
  await apply({ place: 'b' });
  const reply = await parts.method('Where')?.({ name: 'Where', payload: null, requestId: '1' });
  assert.equal(reply?.payload, 'b');
});
