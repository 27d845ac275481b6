import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createPayloads } from '../../../modules/stream-to-mqtt/src/shape/payload.ts';
import type { PayloadRules } from '../../../modules/stream-to-mqtt/src/shape/payload.ts';

const rules: PayloadRules = {
  format: 'json',
  rawField: '',
  select: [],
  rename: {},
  parseNumbers: false,
  extras: [],
};

function payload(
  pairs: readonly (string | Buffer)[],
  more: Partial<PayloadRules> = {},
  id = '1651234567890-0',
): string {
  const build = createPayloads({ ...rules, ...more }, { stream: 'device:sensor:data', db: 2 });
  const result = build({
    id,
    pairs: pairs.map((part) => Buffer.from(part)),
    deliveryCount: 3,
    now: () => '2026-01-01T00:00:00.000Z',
  });
  return 'payload' in result ? result.payload.toString() : `! ${result.problem}`;
}

function data(...args: Parameters<typeof payload>): unknown {
  return (JSON.parse(payload(...args)) as { data: unknown }).data;
}

test('SM-20, SM-21, SM-23: four fields, the time of the id in UTC, values as text', () => {
  equal(
    payload(['field1', 'value1', 'field3', '123']),
    '{"stream":"device:sensor:data","id":"1651234567890-0","data":{"field1":"value1","field3":"123"},"timestamp":"2022-04-29T12:16:07.890Z"}',
  );
});

test('SM-22: further fields on demand', () => {
  const parsed = JSON.parse(
    payload(['a', '1'], { extras: ['publishedAt', 'db', 'deliveryCount'] }),
  ) as Record<string, unknown>;
  deepEqual(
    [parsed['publishedAt'], parsed['db'], parsed['deliveryCount']],
    ['2026-01-01T00:00:00.000Z', 2, 3],
  );
});

test('SM-23: numbers become numbers only when asked for and only when no digit is lost', () => {
  const cases: readonly [string, unknown][] = [
    ['123', 123],
    ['-0.5', -0.5],
    ['1e3', 1000],
    ['1.50', 1.5],
    ['007', '007'],
    ['0x10', '0x10'],
    ['', ''],
    ['1 ', '1 '],
    ['12345678901234567890', '12345678901234567890'],
    ['NaN', 'NaN'],
    ['1e999', '1e999'],
    ['1e-400', '1e-400'],
    ['1.23456789012345e-310', '1.23456789012345e-310'],
    ['2.3e-308', 2.3e-308],
    ['0.00', 0],
    ['-0', '-0'],
    ['-0.0', '-0.0'],
    ['1e15', 1e15],
    ['.5', '.5'],
    ['1_000', '1_000'],
    ['+1', '+1'],
    ['true', 'true'],
  ];
  for (const [given, expected] of cases)
    deepEqual(data(['a', given], { parseNumbers: true }), { a: expected }, given);
  deepEqual(data(['a', '123']), { a: '123' });
});

test('SM-24: what is not UTF-8 is base64, and named', () => {
  const parsed = JSON.parse(payload(['bin', Buffer.from([0xff, 0x00]), 'text', 'ä\ufffd'])) as Record<
    string,
    unknown
  >;
  deepEqual(parsed['data'], { bin: '/wA=', text: 'ä\ufffd' });
  deepEqual(parsed['base64'], ['bin']);
  const name = JSON.parse(payload([Buffer.from([0xfe]), 'x'])) as Record<string, unknown>;
  deepEqual([name['data'], name['base64Names']], [{ '/g==': 'x' }, ['/g==']]);
});

test('SM-24: fields may be called like what every object has', () => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    const parsed = JSON.parse(payload([name, Buffer.from([0xff])], { rename: { other: 'x' } })) as object;
    deepEqual(Object.entries(parsed).slice(2), [
      ['data', JSON.parse(`{"${name}":"/w=="}`)],
      ['timestamp', '2022-04-29T12:16:07.890Z'],
      ['base64', [name]],
    ]);
  }
});

test('the last value of a repeated field counts', () => {
  deepEqual(data(['a', '1', 'b', '2', 'a', '3']), { a: '3', b: '2' });
  deepEqual(data(['a', '1', 'b', '2'], { rename: { a: 'b' } }), { b: '2' });
});

test('fields are chosen and renamed', () => {
  deepEqual(data(['a', '1', 'b', '2', 'c', '3'], { select: ['c', 'a', 'x'], rename: { a: 'A' } }), {
    c: '3',
    A: '1',
  });
});

test('raw: the bytes of one field, or no payload at all', () => {
  const build = createPayloads({ ...rules, format: 'raw', rawField: 'body' }, { stream: 's', db: 0 });
  const facts = { id: '1-0', deliveryCount: 1, now: () => '' };
  deepEqual(build({ ...facts, pairs: [Buffer.from('body'), Buffer.from([1, 255])] }), {
    payload: Buffer.from([1, 255]),
  });
  ok('problem' in build({ ...facts, pairs: [Buffer.from('x'), Buffer.from('y')] }));
});

test('an id beyond what a date holds still gives a time', () => {
  ok(payload(['a', '1'], {}, '99999999999999999-0').includes('+275760-09-13T00:00:00.000Z'));
});

test('any entry gives JSON that holds exactly its fields', () => {
  const text = fc.string({ unit: 'binary' }).map((t) => t.toWellFormed());
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text)), (pairs) => {
      const expected = new Map(pairs);
      const parsed = data(pairs.flat()) as Record<string, string>;
      deepEqual(
        new Map(Object.entries(parsed)),
        new Map(
          [...expected].sort(([a], [b]) => Object.keys(parsed).indexOf(a) - Object.keys(parsed).indexOf(b)),
        ),
      );
    }),
  );
});
