import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromBinary, toBinary } from '../../../modules/kafka-ingest/src/shape/binary-text.ts';
import { CallBuffer } from '../../../modules/kafka-ingest/src/shape/call-buffer.ts';
import {
  parseFields,
  parseFieldsExactly,
  valueText,
} from '../../../modules/kafka-ingest/src/shape/json-fields.ts';
import type { KafkaRecord } from '../../../modules/kafka-ingest/src/record.ts';
import { writeRecord } from '../../../modules/kafka-ingest/src/shape/shaped-record.ts';
import { shapeOf } from '../../../modules/kafka-ingest/src/settings.ts';
import type { IngestSettings } from '../../../modules/kafka-ingest/src/settings.ts';
import { Template, templateProblem } from '../../../modules/kafka-ingest/src/shape/template.ts';
import { ttlMs } from '../../../modules/kafka-ingest/src/shape/ttl.ts';
import { argumentsOf } from '../../helpers/call-arguments.ts';
import { ingestSettings } from '../../helpers/ingest-part.ts';

const place = { topic: 'batteries', partition: 2 };

function record(value: string | Buffer | null, more: Partial<KafkaRecord> = {}): KafkaRecord {
  return {
    offset: '41',
    timestamp: '1700000000000',
    key: Buffer.from('k'),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    ...more,
  };
}

function shaped(settings: Partial<IngestSettings>, given: KafkaRecord): string[] | string {
  const out = new CallBuffer(64);
  const fault = writeRecord(out, shapeOf(ingestSettings({ redisHost: 'x', ...settings })), place, given);
  return fault === undefined ? argumentsOf(out.finish()) : fault.code;
}

test('KI-19: a template takes fields, nested fields, key, headers and place, with a text for what is missing', () => {
  const scope = {
    record: record('{}', { headers: { source: Buffer.from('grün'), many: ['a', 'b'] } }),
    ...place,
    fields: parseFields('{"id":7,"a":{"b":true},"a.c":"dotted","none":null,"list":[1]}'),
    db: 3,
    redisKey: 'rk',
    watch: { isRounded: false, text: '' },
  };
  const fill = (text: string): string => {
    const filled = new Template(text).fill(scope);
    return 'text' in filled ? fromBinary(filled.text) : `missing ${filled.missing}`;
  };
  equal(fill('battery:{id}:data'), 'battery:7:data');
  equal(
    fill('{a.b}/{a.c}/{@key}/{@topic}/{@partition}/{@offset}/{@timestamp}'),
    'true/dotted/k/batteries/2/41/1700000000000',
  );
  equal(fill('{@header:source}-{@header:many}'), 'grün-b');
  equal(fill('__keyspace@{@db}__:{@redisKey}'), '__keyspace@3__:rk');
  equal(fill('{{{id}}}'), '{7}');
  equal(fill('{none|-1}'), '-1');
  equal(fill('{none}'), 'missing none');
  equal(fill('{list}'), 'missing list');
  equal(fill('{toString}'), 'missing toString');
});

test('KI-19: a template that cannot be filled is refused with the reason', () => {
  equal(templateProblem('a:{b}'), undefined);
  match(String(templateProblem('a:{b')), /brace without its partner/);
  match(String(templateProblem('a}')), /brace without its partner/);
  match(String(templateProblem('{@nothing}')), /knows \{@key\}/);
  match(String(templateProblem('{}')), /without a name/);
  match(String(templateProblem('{@redisKey}')), /channel only/);
  equal(templateProblem('{@redisKey}', true), undefined);
});

test('any text and any bytes come back from the buffer as they were, however often it has to grow', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 200 })), (texts) => {
      const out = new CallBuffer(40);
      for (const text of texts) out.text(text);
      for (const text of texts) out.binary(toBinary(text));
      for (const text of texts) out.bytes(Buffer.from(text));
      deepEqual(argumentsOf(out.finish()), [...texts, ...texts, ...texts]);
    }),
  );
});

test('KI-20: the arguments of each mode', () => {
  const value = '{"a":1,"b":null,"c":"ü","d":{"e":[1]}}';
  deepEqual(shaped({}, record('{"a":1,"b":"x"}')), ['h', '41', 'k', '4', 'a', '1', 'b', 'x']);
  deepEqual(shaped({}, record(value)), [
    'm',
    '41',
    'k',
    '0',
    '1',
    'b',
    '6',
    'a',
    '1',
    'c',
    'ü',
    'd',
    '{"e":[1]}',
  ]);
  deepEqual(shaped({ valueMode: 'hash-replace', ttlSeconds: 5 }, record(value)).slice(0, 5), [
    'r',
    '41',
    'k',
    '5000',
    '6',
  ]);
  deepEqual(shaped({ nested: 'flatten' }, record('{"d":{"e":{"f":2}},"g":{}}')), [
    'h',
    '41',
    'k',
    '4',
    'd.e.f',
    '2',
    'g',
    '{}',
  ]);
  deepEqual(shaped({ excludeFields: ['a'] }, record('{"a":1,"b":2}')), ['h', '41', 'k', '2', 'b', '2']);
  deepEqual(shaped({ valueMode: 'string' }, record('x')), ['s', '41', 'k', 'x']);
  deepEqual(shaped({ valueMode: 'json', ttlSeconds: 1 }, record('[1]')), ['t', '41', 'k', '1000', '[1]']);
  deepEqual(shaped({}, record(null)), ['d', '41', 'k']);
  deepEqual(
    shaped(
      { indexKey: 'ids', indexMember: '{a}', channelTemplate: 'c:{@redisKey}' },
      record('{"a":1}'),
    ).slice(0, 5),
    ['h', '41', 'k', 'c:k', '1'],
  );
});

test('KI-14: what cannot be stored is named by a code, and nothing of it is written', () => {
  equal(shaped({}, record('no json')), 'BAD_JSON');
  equal(shaped({}, record('[1]')), 'BAD_JSON');
  equal(shaped({}, record('')), 'BAD_JSON');
  equal(shaped({ valueMode: 'json' }, record('{')), 'BAD_JSON');
  const latin1 = Buffer.from('{"name":"M\xfcller"}', 'latin1');
  for (const valueMode of ['hash', 'hash-replace', 'json'] as const)
    equal(shaped({ valueMode }, record(latin1)), 'BAD_JSON', 'it would be stored as something else');
  equal(typeof shaped({ valueMode: 'string' }, record(latin1)), 'object');
  equal(shaped({}, record('{}', { key: null })), 'NO_KEY');
  equal(shaped({}, record('{}', { key: Buffer.alloc(0) })), 'NO_KEY');
  equal(shaped({ keyTemplate: '{id}' }, record('{"id":{}}')), 'NO_KEY');
  equal(shaped({ keyTemplate: '{id}' }, record(null)), 'NO_KEY');
  equal(shaped({ ttlField: 'ttl' }, record('{"ttl":"soon"}')), 'BAD_TTL');
  equal(shaped({ maxRecordBytes: 1024 }, record('x'.repeat(1024))), 'TOO_LARGE');
});

test('KI-22: a tombstone takes its key from its own template where the value has the key', () => {
  const settings = { keyTemplate: 'battery:{id}', tombstoneKeyTemplate: 'battery:{@key}' };
  deepEqual(shaped(settings, record(null)), ['d', '41', 'battery:k']);
  deepEqual(shaped(settings, record('{"id":9}')), ['h', '41', 'battery:9', '2', 'id', '9']);
});

test('KI-23: field before header before setting; zero is for ever; what is no time is no time', () => {
  const rules = { seconds: 10, header: 'ttl', field: 'life' };
  const headers = { ttl: Buffer.from('20') };
  equal(ttlMs(rules, record('{}', { headers }), { life: 30 }), 30_000);
  equal(ttlMs(rules, record('{}', { headers }), { life: null }), 20_000);
  equal(ttlMs(rules, record('{}'), {}), 10_000);
  equal(ttlMs(rules, record('{}'), { life: 0 }), 0);
  equal(ttlMs(rules, record('{}'), { life: '1.5' }), 1500);
  equal(ttlMs(rules, record('{}'), { life: 0.0001 }), 1, 'the shortest time there is, not for ever');
  equal(ttlMs(rules, record('{}'), { life: 1e12 }), 1e15);
  for (const life of ['', ' ', 'x', -1, '-0.5', '1e99', 'Infinity', 'NaN', true])
    equal(ttlMs(rules, record('{}'), { life }), undefined);
});

test('numbers keep all their digits where JavaScript would round them, and only then cost a second look', () => {
  const digits = (text: string): string => {
    const watch = { isRounded: false, text };
    const first = valueText(parseFields(text)?.['n'], watch);
    return watch.isRounded ? valueText(parseFieldsExactly(text)?.['n'], watch) : `=${first}`;
  };
  equal(digits('{"n":1764115200123}'), '=1764115200123');
  equal(digits('{"n":9007199254740991}'), '=9007199254740991');
  equal(digits('{"n":9007199254740993}'), '9007199254740993');
  equal(digits('{"n":123456789.123456789}'), '123456789.123456789');
  equal(digits('{"n":[12345678901234567890]}'), '[12345678901234567890]');
  equal(digits('{"n":-0.1}'), '=-0.1');
  // What sums of floats look like: long, and nothing was lost.
  equal(digits('{"n":0.30000000000000004}'), '=0.30000000000000004');
  equal(digits('{"n":{"a":[380.20000000000005]}}'), '={"a":[380.20000000000005]}');
  equal(digits('{"n":0.300000000000000041}'), '0.300000000000000041');
  equal(digits('{"n":{"a": 0.30000000000000004 }}'), '{"a":0.30000000000000004}');
});

test('KI-16: what is nested too deeply to be written is a fault of the record, and leaves nothing of it in the call', () => {
  for (const value of [
    `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    `${'{"a":'.repeat(50_000)}1.00000000000000000001${'}'.repeat(50_000)}`,
  ])
    for (const nested of ['json', 'flatten'] as const) {
      const out = new CallBuffer(64);
      const before = out.mark();
      const fault = writeRecord(
        out,
        shapeOf(ingestSettings({ redisHost: 'x', nested })),
        place,
        record(value),
      );
      equal(fault?.code, 'BAD_VALUE');
      deepEqual(out.mark(), before);
    }
});

test('KI-16 AM-5: a record may neither write nor delete what the suite keeps for itself', () => {
  const own = ['iotedge-redis:kafka-ingest:{g}:c:t:0', 'iotedge-redis:x', 'dlq:kafka-ingest', 'changes:t:0'];
  for (const key of own)
    for (const value of ['{"a":1}', null])
      equal(shaped({}, record(value, { key: Buffer.from(key) })), 'REFUSED', key);
  for (const key of ['changes:t', 'changes::0', 'changes:t:x', 'dlq:other', 'iotedge-redis'])
    equal(typeof shaped({}, record('{"a":1}', { key: Buffer.from(key) })), 'object', key);
  equal(shaped({}, record(null, { key: Buffer.alloc(1_048_577, 'k') })), 'TOO_LARGE');
  for (const value of ['{"a":1}', null])
    equal(shaped({ indexKey: 'info:höhe' }, record(value, { key: Buffer.from('info:höhe') })), 'REFUSED');
});
