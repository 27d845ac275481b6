import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameOf } from '../../../modules/stream-to-mqtt/src/shape/text-of.ts';
import { filterProblem, templateProblem, topicFor } from '../../../modules/stream-to-mqtt/src/shape/topic.ts';

const parts = {
  base: 'redis',
  stream: Buffer.from('device:sensor:data'),
  db: 0,
  instance: 'bridge',
  withDb: false,
};

/** As Redis stores it: a surrogate without its partner is three bytes that are not UTF-8. */
function bytesOf(name: string): Buffer {
  const lone = (character: string): Buffer => {
    const code = character.charCodeAt(0);
    return Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]);
  };
  return Buffer.concat(
    Array.from(name, (character) => (character.isWellFormed() ? Buffer.from(character) : lone(character))),
  );
}

function topic(stream: string, template = '{base}/{stream}', more: Partial<typeof parts> = {}): string {
  const result = topicFor(template, { ...parts, stream: bytesOf(stream), ...more });
  return 'topic' in result ? result.topic : `! ${result.problem}`;
}

test('SM-17: the base topic, then the stream with every colon a slash', () => {
  equal(topic('device:sensor:data'), 'redis/device/sensor/data');
  equal(topic('a'), 'redis/a');
  equal(topic('a:b', '{base}/{rawStream}'), 'redis/a:b');
  equal(topic('a', 'x/{db}/{instance}/{stream}', { db: 3 }), 'x/3/bridge/a');
});

test('SM-18: the database stands before the stream when it has to, once', () => {
  equal(topic('a:b', '{base}/{stream}', { db: 2, withDb: true }), 'redis/2/a/b');
  equal(topic('a:b', '{db}/{stream}', { db: 2, withDb: true }), '2/a/b');
});

test('SM-19: what a topic must not hold is escaped', () => {
  equal(topic('a+b#c'), 'redis/a%2Bb%23c');
  equal(topic('a\0b'), 'redis/a%00b');
  equal(topic('a\ud800b'), 'redis/a%ED%A0%80b');
  equal(topic('a\u0007\u009f\uffff'), 'redis/a%07%C2%9F%EF%BF%BF');
  equal(topic('a%2Bb'), 'redis/a%252Bb');
  equal(topic('50%'), 'redis/50%');
  equal(topic('ä/😀'), 'redis/ä/😀');
  equal(nameOf(Buffer.from([0x61, 0xed, 0xa0, 0x80, 0xc3, 0xa4, 0xff])), 'a%ED%A0%80ä%FF');
});

test('SM-19: a topic never begins with $, is never empty and never too long', () => {
  equal(topic('$SYS:x', '{stream}'), '%24SYS/x');
  match(topic('', '{stream}'), /^! the topic is empty/);
  match(topic('x'.repeat(70_000)), /^! the topic has 70006 bytes/);
  ok(topic('x'.repeat(65_529)).startsWith('redis/'));
});

test('a field of the entry is one level; an entry that lacks it cannot be published', () => {
  const fields: Record<string, Buffer> = { site: Buffer.from('a/b+') };
  deepEqual(
    topicFor('{base}/{field:site}', parts, (name) => fields[name]),
    { topic: 'redis/a%2Fb%2B' },
  );
  match(JSON.stringify(topicFor('{field:none}', parts, (name) => fields[name])), /needs the field none/);
});

test('templates and topics written by hand are checked', () => {
  equal(templateProblem('{base}/{stream}/{field:a}'), undefined);
  match(templateProblem('{bse}') ?? '', /knows \{base\}/);
  match(templateProblem('{base') ?? '', /brace/);
  match(templateProblem('{base}/+') ?? '', /must not contain/);
  match(filterProblem('a#') ?? '', /must not contain/);
  equal(filterProblem('a/b'), undefined);
});

test('any name gives a topic that MQTT allows, and different names different topics but for : and /', () => {
  const name = fc
    .array(fc.constantFrom('a', '+', '#', '\0', '%', '2', 'B', '$', ':', '\ud800', '\udc00', 'é', '\u0001'), {
      minLength: 1,
    })
    .map((c) => c.join(''));
  fc.assert(
    fc.property(name, name, (one, other) => {
      const [a, b] = [topic(one), topic(other)];
      // eslint-disable-next-line no-control-regex
      ok(!/[+#\0-\x1f]/.test(a) && !a.startsWith('$') && a.isWellFormed());
      ok(a !== b || one.replaceAll(':', '/') === other.replaceAll(':', '/'));
    }),
  );
});
