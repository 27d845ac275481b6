import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AckInput } from '../../../../modules/common/src/reported/acknowledge.ts';
import { acknowledge, isAck } from '../../../../modules/common/src/reported/acknowledge.ts';

const base: AckInput = {
  document: { version: 7, properties: { host: 'b', port: 1 } },
  mistakes: [],
  accepted: { host: 'b', port: 1 },
  isSecret: () => false,
  stateOf: () => ({ kind: 'in use' }),
  inUse: (property) => (property === 'host' ? 'a' : 6379),
  isSlow: false,
};

test('RC-19: a property in use is answered with its value, 200 and the version of the document', () => {
  assert.deepEqual(acknowledge(base), {
    host: { value: 'b', ac: 200, av: 7, ad: 'in use' },
    port: { value: 1, ac: 200, av: 7, ad: 'in use' },
  });
});

test('RC-19: a wrong property is answered with what is in use, 400 and all that is wrong with it', () => {
  const mistakes = [
    { origin: 'twin', name: 'port', problem: 'expected an integer' },
    { origin: 'twin', name: 'port', problem: 'not with this host' },
  ] as const;
  const acks = acknowledge({ ...base, mistakes, accepted: { host: 'a', port: 6379 } });
  assert.deepEqual(acks, {
    port: { value: 6379, ac: 400, av: 7, ad: 'expected an integer; not with this host' },
    host: { value: 'a', ac: 424, av: 7, ad: 'not applied, because the document has mistakes: port, port' },
  });
});

test('a right property that has not changed beside a wrong one stays in use', () => {
  const mistakes = [{ origin: 'twin', name: 'port', problem: 'expected an integer' }] as const;
  assert.deepEqual(acknowledge({ ...base, mistakes })['host'], { value: 'b', ac: 200, av: 7, ad: 'in use' });
});

test('a mistake that came from the host is named with its problem', () => {
  const mistakes = [{ origin: 'environment', name: 'TLS_CA', problem: 'needed for this host' }] as const;
  const { host } = acknowledge({ ...base, mistakes, accepted: {} });
  assert.equal(host?.['ad'], 'not applied, because the document has mistakes: TLS_CA: needed for this host');
});

test('what failed is answered with 503, what waits with 202', () => {
  const acks = acknowledge({
    ...base,
    stateOf: (property) =>
      property === 'host'
        ? { kind: 'failed', detail: 'refused' }
        : { kind: 'waiting', detail: 'no host is set' },
  });
  assert.deepEqual(acks, {
    host: { value: 'a', ac: 503, av: 7, ad: 'refused' },
    port: { value: 6379, ac: 202, av: 7, ad: 'no host is set' },
  });
});

test('what is under way is answered only when it lasts', () => {
  const input: AckInput = { ...base, stateOf: () => ({ kind: 'pending' }) };
  assert.deepEqual(acknowledge(input), {});
  assert.deepEqual(acknowledge({ ...input, isSlow: true })['host'], {
    value: 'a',
    ac: 202,
    av: 7,
    ad: 'being applied',
  });
});

test('the value of a secret is never part of an answer', () => {
  const acks = acknowledge({ ...base, isSecret: () => true, inUse: () => 'hunter2' });
  assert.equal(acks['host']?.['value'], null);
});

test('an answer is recognised by its form', () => {
  assert.deepEqual(
    [{ value: 1, ac: 200, av: 1 }, { ac: 200 }, { state: 'ok' }, 5, null, undefined, [1]].map(isAck),
    [true, false, false, false, false, false, false],
  );
});
