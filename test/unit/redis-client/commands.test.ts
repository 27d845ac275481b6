import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { SuiteError } from '@iotedge-redis/common';
import type { JsonValue } from '@iotedge-redis/common';
import fc from 'fast-check';
import {
  parseDeleteItem,
  parseGetItem,
  parseGetItems,
  parseSetItem,
  parseSetItems,
} from '../../../modules/redis-client/src/commands.ts';

const etag = '0e514a0662bcb69dc863953d1ce26e3d40e81a87';

const sets: readonly (readonly [payload: JsonValue, command: object, form: string])[] = [
  ['ping:pong', { key: 'ping', value: 'pong' }, 'string'],
  ['a:b:c', { key: 'a', value: 'b:c' }, 'string'],
  ['a:', { key: 'a', value: '' }, 'string'],
  [' a : b ', { key: ' a ', value: ' b ' }, 'string'],
  ['url:http://x:1/"q"', { key: 'url', value: 'http://x:1/"q"' }, 'string'],
  ['k:{"a":1}', { key: 'k', value: '{"a":1}' }, 'string'],
  ['"ping:pong"', { key: 'ping', value: 'pong' }, 'string'],
  ['{user}:1', { key: '{user}', value: '1' }, 'string'],
  ['"half:quoted', { key: '"half', value: 'quoted' }, 'string'],
  ['{"key":"a","value":"b"}', { key: 'a', value: 'b' }, 'object'],
  [{ key: 'a', value: '' }, { key: 'a', value: '' }, 'object'],
  [{ key: 'a', value: 1.5 }, { key: 'a', value: '1.5' }, 'object'],
  [{ key: 'a', value: false }, { key: 'a', value: 'false' }, 'object'],
  [{ key: 'a', value: { x: [1] } }, { key: 'a', value: '{"x":[1]}' }, 'object'],
  [{ key: 'a', value: [1, null] }, { key: 'a', value: '[1,null]' }, 'object'],
  [{ key: 'a', value: 'b', ttlSeconds: 5, db: 2 }, { key: 'a', value: 'b', ttlSeconds: 5, db: 2 }, 'object'],
  [
    { key: 'a', value: 'b', ifAbsent: true },
    { key: 'a', value: 'b', condition: { kind: 'absent' } },
    'object',
  ],
  [{ key: 'a', value: 'b', ifAbsent: false }, { key: 'a', value: 'b' }, 'object'],
  [
    { key: 'a', value: 'b', ifEquals: { x: 1 } },
    { key: 'a', value: 'b', condition: { kind: 'equals', value: '{"x":1}' } },
    'object',
  ],
  [
    { key: 'a', value: 'b', ifMatch: etag.toUpperCase() },
    { key: 'a', value: 'b', condition: { kind: 'match', etag } },
    'object',
  ],
];

for (const [payload, command, form] of sets) {
  test(`RC-1, RC-3, RC-4, RC-6: SetItem understands ${JSON.stringify(payload)}`, () => {
    deepEqual(parseSetItem(payload), { form, command });
  });
}

const badSets: readonly (readonly [payload: JsonValue, problem: RegExp])[] = [
  ['ping', /no ":"/],
  ['', /no ":"/],
  [':b', /"key" is empty/],
  [null, /SetItem takes/],
  [42, /SetItem takes/],
  [['a:b'], /SetItem takes/],
  [{ key: 'a' }, /"value" is missing/],
  [{ value: 'a' }, /"key" is missing/],
  [{ key: '', value: 'a' }, /"key" is empty/],
  [{ key: 1, value: 'a' }, /"key" must be a text/],
  [{ key: 'a', value: null }, /DeleteItem/],
  [{ key: 'a', value: 2 ** 53 }, /2\^53/],
  [{ key: 'a', value: Number('1e400') }, /2\^53/],
  [{ key: 'a', value: { x: [{ y: 2 ** 60 }] } }, /holds a number beyond 2\^53/],
  [{ key: 'a', value: [Number('-1e400')] }, /holds a number beyond 2\^53/],
  [{ key: 'a', value: 'b', ifEquals: null }, /"ifEquals" is null; use ifAbsent/],
  [{ key: 'a', value: 'b', ifEquals: [2 ** 60] }, /"ifEquals" holds a number/],
  [{ key: 'a', value: '\ud800' }, /surrogate/],
  [{ key: '\udc00', value: '' }, /surrogate/],
  [{ key: 'a', value: 'b', ttl: 5 }, /unknown field "ttl".*ttlSeconds/],
  [{ key: 'a', value: 'b', ttlSeconds: 0 }, /ttlSeconds/],
  [{ key: 'a', value: 'b', ttlSeconds: 1.5 }, /ttlSeconds/],
  [{ key: 'a', value: 'b', ttlSeconds: '5' }, /ttlSeconds/],
  [{ key: 'a', value: 'b', db: -1 }, /db/],
  [{ key: 'a', value: 'b', ifAbsent: 'yes' }, /ifAbsent/],
  [{ key: 'a', value: 'b', ifMatch: 'abc' }, /ifMatch/],
  [{ key: 'a', value: 'b', ifAbsent: true, ifEquals: 'c' }, /only one of/],
];

for (const [payload, problem] of badSets) {
  test(`RC-10: SetItem refuses ${JSON.stringify(payload)} as malformed`, () => {
    throws(
      () => parseSetItem(payload),
      (error) => {
        ok(error instanceof SuiteError);
        equal(error.code, 'DATA_INVALID');
        match(error.message, problem);
        return true;
      },
    );
  });
}

test('RC-4: SetItem takes 500 levels of nesting and refuses more, whatever the depth', () => {
  const nested = (levels: number): JsonValue =>
    JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as JsonValue;
  equal(parseSetItem({ key: 'a', value: nested(500) }).command.value.length, 1000);
  for (const levels of [501, 5000, 60_000]) {
    throws(() => parseSetItem({ key: 'a', value: nested(levels) }), {
      code: 'DATA_INVALID',
      message: /more than 500 levels/,
    });
  }
});

test('RC-14: SetItem refuses a value of more than 128 KB as too large', () => {
  throws(() => parseSetItem({ key: 'a', value: 'x'.repeat(131_073) }), { code: 'TOO_LARGE' });
});

test('RC-5: GetItem takes a key or an object with one', () => {
  deepEqual(parseGetItem('ping'), { form: 'string', command: { key: 'ping' } });
  deepEqual(parseGetItem('a:b'), { form: 'string', command: { key: 'a:b' } });
  deepEqual(parseGetItem('"ping"'), { form: 'string', command: { key: 'ping' } });
  deepEqual(parseGetItem({ key: 'ping', db: 1 }), { form: 'object', command: { key: 'ping', db: 1 } });
  deepEqual(parseGetItem('{"key":"ping"}'), { form: 'object', command: { key: 'ping' } });
  for (const payload of ['', null, 1, [], {}, { key: 'a', keys: [] }] satisfies JsonValue[]) {
    throws(() => parseGetItem(payload), { code: 'DATA_INVALID' });
  }
});

test('RC-24: DeleteItem takes a key, or an object with a condition', () => {
  deepEqual(parseDeleteItem('a'), { form: 'string', command: { key: 'a' } });
  deepEqual(parseDeleteItem({ key: 'a', ifMatch: etag }), {
    form: 'object',
    command: { key: 'a', condition: { kind: 'match', etag } },
  });
  throws(() => parseDeleteItem({ key: 'a', ifAbsent: true }), /unknown field "ifAbsent"/);
  throws(() => parseDeleteItem(''), { code: 'DATA_INVALID' });
});

test('RC-25: SetItems takes what SetItem takes, many times, with a database for all', () => {
  deepEqual(parseSetItems(['a:1', { key: 'b', value: 2 }]), [
    { key: 'a', value: '1' },
    { key: 'b', value: '2' },
  ]);
  deepEqual(parseSetItems({ items: ['a:1', { key: 'b', value: 2, db: 5 }], db: 4 }), [
    { key: 'a', value: '1', db: 4 },
    { key: 'b', value: '2', db: 5 },
  ]);
  deepEqual(parseSetItems('["a:1"]'), [{ key: 'a', value: '1' }]);
  throws(() => parseSetItems(['a:1', 'b']), /^SuiteError: item 2: no ":"/);
  throws(() => parseSetItems([]), /empty array/);
  throws(() => parseSetItems({ items: ['a:1'], database: 1 }), /unknown field "database"/);
  throws(() => parseSetItems(Array.from({ length: 1001 }, () => 'a:1')), /at most 1000/);
});

test('RC-25: GetItems takes keys', () => {
  deepEqual(parseGetItems(['a', 'b']), [{ key: 'a' }, { key: 'b' }]);
  deepEqual(parseGetItems({ keys: ['a'], db: 3 }), [{ key: 'a', db: 3 }]);
  throws(() => parseGetItems(['a', '']), /key 2: "key" is empty/);
  throws(() => parseGetItems('a'), /takes an array/);
});

const text = fc.string({ unit: 'grapheme' });
const key = text.filter((given) => given !== '' && !given.includes(':') && !/^\s*["{[]/.test(given));

test('RC-1: whatever the key and the value are, the string form splits at the first colon', () => {
  fc.assert(
    fc.property(key, text, (name, value) => {
      deepEqual(parseSetItem(`${name}:${value}`), { form: 'string', command: { key: name, value } });
    }),
  );
});

test('RC-6: a payload that was encoded twice means the same', () => {
  fc.assert(
    fc.property(key, text, (name, value) => {
      deepEqual(parseSetItem(JSON.stringify(`${name}:${value}`)), parseSetItem(`${name}:${value}`));
      deepEqual(parseSetItem(JSON.stringify({ key: name, value })), parseSetItem({ key: name, value }));
    }),
  );
});

test('answers any JSON with a command or with an error of the suite', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (payload) => {
      for (const parse of [parseSetItem, parseGetItem, parseDeleteItem, parseSetItems, parseGetItems]) {
        try {
          parse(payload as JsonValue);
        } catch (error) {
          ok(error instanceof SuiteError);
        }
      }
    }),
  );
});
