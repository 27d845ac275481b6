import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CallBuffer } from '../../../modules/kafka-ingest/src/shape/call-buffer.ts';
import { FlatFields } from '../../../modules/kafka-ingest/src/shape/flat-fields.ts';
import { argumentsOf } from '../../helpers/call-arguments.ts';

const flat = new FlatFields();

/** What is written for a text, by name; undefined when a parser has to look at it. */
function written(
  text: string,
  excluded: ReadonlySet<string> = new Set(),
): Record<string, string> | undefined {
  if (!flat.read(Buffer.from(text))) return undefined;
  const out = new CallBuffer(64);
  flat.write(out, excluded);
  const [count, ...texts] = argumentsOf(out.finish());
  equal(Number(count), texts.length);
  const pairs = Array.from({ length: texts.length / 2 }, (_, n) => [texts[n * 2], texts[n * 2 + 1]] as const);
  return Object.fromEntries(pairs) as Record<string, string>;
}

function parsed(text: string): Record<string, string> {
  const fields = JSON.parse(text) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
}

test('KI-20: plain fields are stored by the bytes of the record as a parser would have them', () => {
  for (const text of [
    '{"a":1}',
    ' { "a" : -1.5 , "b" : "x y" ,\n"c":true,"d":false,"e":0,"f":0.000001,"g":-0.5,"h":123456789012345 } ',
    '{"a":"","":"no name","long":"0123456789012345678901234567890123456789012345678901234567890123456789"}',
    '{"sum":-0.10000000000000142,"large":9007199254740991,"e":415.20000000000005}',
    '{"__proto__":"x","constructor":"y"}',
  ])
    deepEqual(written(text), parsed(text), text);
});

test('KI-20: what has other bytes than those to store is left to a parser', () => {
  for (const text of [
    '{"a":null}',
    '{"a":{}}',
    '{"a":[1]}',
    '{"a":1,"a":2}',
    '{"a":"\\n"}',
    '{"\\u0061":1}',
    '{"a":"ü"}',
    '{"a":-0}',
    '{"a":0.0}',
    '{"a":1.50}',
    '{"a":1e5}',
    '{"a":1E5}',
    '{"a":1.5e3}',
    '{"a":12345678901234567}',
    '{"a":0.0000001}',
    '{"a":0.12345678901234567891}',
    '{"a":01}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":-}',
    '{"a":+1}',
    '{"a":1x}',
    '{"a":tru}',
    '{"a":truex}',
    '{"a":"\t"}',
    '{"a":1,}',
    '{,"a":1}',
    '{"a":1}x',
    '{"a" 1}',
    '{a:1}',
    '{}',
    '[1]',
    '"x"',
    '',
  ])
    equal(written(text), undefined, text);
  const whole = '{"name":"text","number":-12.5,"truth":false}';
  for (let length = 0; length < whole.length; length += 1)
    equal(written(whole.slice(0, length)), undefined, whole.slice(0, length));
});

test('KI-20: any object gives the fields that a parser gives, or is left to it', () => {
  const value = fc.oneof(
    fc.string(),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.integer()),
    fc.integer({ min: -1e6, max: 1e6 }).map((number) => number / 1000),
  );
  let plain = 0;
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), (fields) => {
      const text = JSON.stringify(fields);
      const found = written(text);
      if (found === undefined) return;
      plain += 1;
      deepEqual(found, parsed(text));
    }),
    { numRuns: 2000 },
  );
  equal(plain > 50, true);
});

test('KI-20: the text of any number that is taken is the one that JavaScript writes', () => {
  const digits = fc.stringMatching(/^-?\d{0,17}(\.\d{0,17})?$/);
  fc.assert(
    fc.property(digits, (number) => {
      const found = written(`{"n":${number}}`);
      if (found !== undefined) equal(found['n'], String(Number(number)));
    }),
    { numRuns: 5000 },
  );
});

test('KI-20: a field that is left out is neither counted nor written', () => {
  deepEqual(written('{"id":7,"a":"x","b":2}', new Set(['id', 'b'])), { a: 'x' });
  equal(flat.text('b'), '2');
  equal(flat.text('c'), undefined);
  equal(flat.isEmptyWithout(new Set(['id', 'a', 'b'])), true);
  equal(flat.isEmptyWithout(new Set(['id'])), false);
});
