import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyScript } from '../../../modules/kafka-ingest/src/apply/apply-script.ts';
import { BatchQueue } from '../../../modules/kafka-ingest/src/lane/batch-queue.ts';
import { decideClaim } from '../../../modules/kafka-ingest/src/apply/claim.ts';
import type { ClaimFacts, ClaimPolicy } from '../../../modules/kafka-ingest/src/apply/claim.ts';
import { Gate } from '../../../modules/kafka-ingest/src/lane/gate.ts';
import { kafkaError } from '../../../modules/kafka-ingest/src/kafka/kafka-errors.ts';
import { unpackLz4 } from '../../../modules/kafka-ingest/src/kafka/lz4.ts';
import type { FetchedBatch } from '../../../modules/kafka-ingest/src/record.ts';
import { checkSettings, fields, missingSettings } from '../../../modules/kafka-ingest/src/settings.ts';
import type { IngestSettings } from '../../../modules/kafka-ingest/src/settings.ts';
import { ingestSettings } from '../../helpers/ingest-part.ts';

const policy: ClaimPolicy = { onMissingPosition: 'earliest', onOffsetMismatch: 'earliest' };
const facts: ClaimFacts = {
  position: { next: 50, timestamp: undefined },
  marks: { low: 10, high: 100 },
  committed: undefined,
  isOtherCluster: false,
  isRecreated: false,
};
const missing: ClaimFacts = { ...facts, position: undefined };

test('KI-6: a position inside of what the partition holds is where to go on, its ends included', () => {
  for (const next of [10, 50, 100])
    deepEqual(decideClaim({ ...facts, position: { next, timestamp: '1' } }, policy), { kind: 'go-on', next });
});

test('KI-7: without a position the policy decides, and a commit that does not fit counts as none', () => {
  const next = (more: Partial<ClaimFacts>, onMissingPosition: ClaimPolicy['onMissingPosition']): unknown => {
    const decision = decideClaim({ ...missing, ...more }, { ...policy, onMissingPosition });
    return decision.kind === 'move' ? decision.next : decision.kind;
  };
  equal(next({}, 'earliest'), 10);
  equal(next({}, 'latest'), 100);
  equal(next({ committed: 70 }, 'committed'), 70);
  equal(next({ committed: 3 }, 'committed'), 10);
  equal(next({ committed: 101 }, 'committed'), 10);
  equal(next({ committed: 70 }, 'earliest'), 10);
});

test('KI-6: lost records, an end before the position, another record before it and another cluster are told apart, and stop stops', () => {
  const cases: readonly (readonly [Partial<ClaimFacts>, RegExp, number | undefined])[] = [
    [{ position: { next: 4, timestamp: undefined } }, /removed the records from 4 to 9/, 6],
    [{ position: { next: 101, timestamp: undefined } }, /behind the end 100/, undefined],
    [{ isRecreated: true }, /made anew/, undefined],
    [{ position: undefined, isOtherCluster: true }, /another Kafka cluster/, undefined],
  ];
  for (const [more, reason, lost] of cases) {
    const decision = decideClaim({ ...facts, ...more }, policy);
    ok(decision.kind === 'move');
    equal(decision.next, 10);
    equal(decision.lost, lost);
    match(String(decision.reason), reason);
    const stopped = decideClaim({ ...facts, ...more }, { ...policy, onOffsetMismatch: 'stop' });
    ok(stopped.kind === 'stop');
    match(stopped.reason, reason);
    const latest = decideClaim({ ...facts, ...more }, { ...policy, onOffsetMismatch: 'latest' });
    ok(latest.kind === 'move');
    equal(latest.next, 100);
  }
});

function batch(from: number, offsets: readonly number[], end: number): FetchedBatch {
  const records = offsets.map((offset) => ({
    offset: String(offset),
    timestamp: '0',
    key: null,
    value: null,
  }));
  return { topic: 't', partition: 0, from, records, end, high: end };
}

test('the queue asks for the next batch when one is left, moves over gaps, and says when it was thrown away', async () => {
  const queue = new BatchQueue();
  const settled: boolean[] = [];
  const add = (one: FetchedBatch): void => queue.add(one, (isTaken) => void settled.push(isTaken));
  add(batch(0, [0, 1, 5], 6));
  add(batch(6, [6, 9], 12));
  add(batch(12, [12], 13));
  deepEqual(settled, [true]);
  queue.advance(2);
  equal(queue.head?.start, 2);
  equal(queue.records, 4);
  queue.advance(6);
  deepEqual(settled, [true, true]);
  queue.advance(10);
  deepEqual(queue.head, { batch: batch(6, [6, 9], 12), start: 2 });
  equal(queue.second?.from, 12);
  queue.clear();
  equal(queue.records, 0);
  deepEqual(settled, [true, true, false, false]);
  await Promise.resolve();
});

test('the gate is open when the last reason is gone', async () => {
  const gate = new Gate();
  await gate.pass();
  gate.close('a', 'one');
  gate.close('b', 'two');
  let isThrough = false;
  const passing = gate.pass().then(() => (isThrough = true));
  gate.open('a');
  await new Promise((resolve) => setImmediate(resolve));
  equal(isThrough, false);
  deepEqual([...gate.reasons], [['b', 'two']]);
  gate.open('b');
  await passing;
  ok(gate.isOpen);
});

/** A frame of one block, written with literals and matches by the simplest rule there is. */
function packLz4(data: Buffer): Buffer {
  const parts: number[] = [];
  const length = (value: number): number[] => {
    const bytes: number[] = [];
    for (let left = value - 15; left >= 0; left -= 255) bytes.push(Math.min(255, left));
    if (bytes.at(-1) === 255) bytes.push(0);
    return value < 15 ? [] : bytes;
  };
  let at = 0;
  let literal = 0;
  const sequence = (distance: number, match: number): void => {
    const literals = data.subarray(literal, at);
    parts.push((Math.min(15, literals.length) << 4) | (distance === 0 ? 0 : Math.min(15, match - 4)));
    parts.push(...length(literals.length), ...literals);
    if (distance > 0) parts.push(distance & 255, distance >> 8, ...length(match - 4));
  };
  while (at < data.length - 8) {
    const found = at === 0 ? -1 : data.lastIndexOf(data.subarray(at, at + 4), at - 1);
    if (found < 0) {
      at += 1;
      continue;
    }
    let size = 4;
    while (at + size < data.length - 5 && data[found + size] === data[at + size]) size += 1;
    sequence(at - found, size);
    at += size;
    literal = at;
  }
  at = data.length;
  sequence(0, 0);
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(parts.length, 7);
  return Buffer.concat([head, Buffer.from(parts), Buffer.alloc(4)]);
}

test('KI-33: an LZ4 frame comes back as it was, overlapping copies and stored blocks included', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'abcabc', 'zzzzzzzz', '123'), { maxLength: 300 }),
      (words) => {
        const data = Buffer.from(words.join(''));
        deepEqual(unpackLz4(packLz4(data), data.length), data);
      },
    ),
  );
  const stored = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0, 3, 0, 0, 0x80, 1, 2, 3, 0, 0, 0, 0]);
  deepEqual(unpackLz4(stored, 3), Buffer.from([1, 2, 3]));
  throws(() => unpackLz4(Buffer.from('no frame at all'), 1000), /does not begin like one/);
  throws(
    () => unpackLz4(Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0, 9, 0, 0, 0, 1]), 1000),
    /longer than/,
  );
  throws(() => unpackLz4(stored, 2), /more than 2 bytes/);
});

test('KI-2 KI-3: the script reads the position first, writes it as it is before anything else, and moves it last', () => {
  const base = {
    payload: 'updates',
    suppressUnchanged: false,
    hasChannel: false,
    hasIndex: false,
    hasChanges: true,
  } as const;
  const { lua, sha } = applyScript(base);
  ok(lua.indexOf("'HGET', position") < lua.indexOf("'HSET', position"));
  ok(lua.indexOf("'HSET', position, 'next', ARGV[1])") < lua.indexOf("'XADD'"));
  ok(lua.lastIndexOf("'HSET', position, 'next', ARGV[last + 1]") > lua.lastIndexOf("'XADD'"));
  equal(applyScript(base).sha, sha);
  ok(applyScript({ ...base, suppressUnchanged: true }).sha !== sha);
  ok(applyScript(base, 'replay').sha !== sha);
});

test('mistakes that several settings make together are named, a cluster among them, and what is missing is a sentence', () => {
  const names = (more: Partial<IngestSettings>): string[] =>
    checkSettings(ingestSettings({ redisHost: 'x', ...more })).map(({ name }) => name);
  deepEqual(names({}), []);
  deepEqual(names({ redisMode: 'cluster' }), ['redisMode']);
  deepEqual(names({ memoryHighPercent: 50 }), ['memoryLowPercent']);
  for (const indexKey of ['dlq:kafka-ingest', 'changes:t:0', 'iotedge-redis:x'])
    deepEqual(names({ indexKey }), ['indexKey']);
  deepEqual(names({ valueMode: 'json', excludeFields: ['a'] }), ['excludeFields']);
  deepEqual(names({ saslMechanism: 'plain' }), ['saslUsername', 'saslPassword']);
  deepEqual(names({ saslMechanism: 'oauthbearer', oauthClientId: 'a' }), [
    'oauthTokenEndpoint',
    'oauthClientSecret',
  ]);
  deepEqual(names({ saslUsername: 'a' }), ['saslMechanism']);
  deepEqual(names({ kafkaCertFile: 'a', kafkaTls: true }), ['kafkaKeyFile']);
  deepEqual(names({ kafkaCaFile: 'a' }), ['kafkaTls']);
  deepEqual(names({ brokers: ['kafka:99999'] }), ['brokers']);
  match(String(missingSettings(ingestSettings({}))), /KAFKA_BROKER/);
  match(String(missingSettings(ingestSettings({ brokers: ['k:1'] }))), /KAFKA_TOPIC/);
  match(String(missingSettings(ingestSettings({ brokers: ['k:1'], topics: ['t'] }))), /REDIS_HOST/);
});

test('topics are names or patterns between slashes, and templates are checked when they are set', () => {
  deepEqual(fields.topics.fromText('a, /^b-.*$/, a'), ['a', '/^b-.*$/']);
  for (const bad of ['a b', '/(/', '/', '//']) throws(() => fields.topics.fromText(bad), /names of topics/);
  deepEqual(fields.topics.fromJson(['/a{1,2}/']), ['/a{1,2}/']);
  throws(() => fields.keyTemplate.fromText('a:{b'), /brace/);
});

test('errors of Kafka say what to do, by the code that is at their root', () => {
  const wrapped = new Error('outer', { cause: new Error('connect ECONNREFUSED 127.0.0.1:9') });
  equal(kafkaError(wrapped, 'connecting to Kafka at a:1').code, 'KAFKA_UNAVAILABLE');
  match(kafkaError(wrapped, 'connecting').message, /nothing listens there.*ECONNREFUSED/);
  const denied = Object.assign(new Error('x'), { type: 'TOPIC_AUTHORIZATION_FAILED' });
  equal(kafkaError(denied, 'reading').code, 'KAFKA_REFUSED');
  match(kafkaError(denied, 'reading').message, /may not read the topic/);
  const loading = Object.assign(new Error('x'), { type: 'GROUP_LOAD_IN_PROGRESS' });
  match(kafkaError(loading, 'reading').message, /has just started.*tried again/);
});
