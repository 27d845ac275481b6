import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deadLetterKey, readDeadLetter } from '../../../modules/stream-to-mqtt/src/streams/dead-letters.ts';
import { compareIds, idTime, nextId } from '../../../modules/stream-to-mqtt/src/streams/entry-id.ts';
import { createFilter } from '../../../modules/stream-to-mqtt/src/shape/filter.ts';
import { parseBroker } from '../../../modules/stream-to-mqtt/src/mqtt/mqtt-address.ts';
import { hex, outcomeOf } from '../../../modules/stream-to-mqtt/src/mqtt/mqtt-outcome.ts';
import { propertiesFor, packetSize } from '../../../modules/stream-to-mqtt/src/mqtt/mqtt-properties.ts';
import { readClaimed, readStreams } from '../../../modules/stream-to-mqtt/src/streams/redis-replies.ts';
import { searchRestMs } from '../../../modules/stream-to-mqtt/src/streams/discovery.ts';
import { streamChooser } from '../../../modules/stream-to-mqtt/src/streams/stream-choice.ts';
import { TokenBucket } from '../../../modules/common/src/token-bucket.ts';

const bytes = (...parts: string[]): Buffer[] => parts.map((part) => Buffer.from(part));

test('ids are compared as the two numbers they are, of any size', () => {
  const big = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(big, big, big, big, (a, b, c, d) => {
      const expected = a < c ? -1 : a > c ? 1 : b < d ? -1 : b > d ? 1 : 0;
      equal(Math.sign(compareIds(`${a}-${b}`, `${c}-${d}`)), expected);
    }),
  );
  equal(nextId('5-9'), '5-10');
  equal(idTime('1651234567890-3'), 1651234567890);
});

test('SM-26: an entry passes when every rule lets it', () => {
  const cases: readonly [Parameters<typeof createFilter>[0], string[], boolean][] = [
    [[{ field: 'type', values: ['alert', 'warning'] }], ['type', 'alert'], true],
    [[{ field: 'type', values: ['alert'] }], ['type', 'info'], false],
    [[{ field: 'type', values: ['alert'] }], ['other', 'alert'], false],
    [[{ field: 'type', not: ['debug'] }], ['type', 'debug'], false],
    [[{ field: 'type', not: ['debug'] }], ['a', '1'], true],
    [[{ field: 'a', exists: true }], ['a', ''], true],
    [[{ field: 'a', exists: false }], ['a', ''], false],
    [
      [
        { field: 'a', values: ['1'] },
        { field: 'b', values: ['2'] },
      ],
      ['a', '1', 'b', '2'],
      true,
    ],
    [
      [
        { field: 'a', values: ['1'] },
        { field: 'b', values: ['2'] },
      ],
      ['a', '1', 'b', '3'],
      false,
    ],
    [[{ field: 'a', values: ['2'] }], ['a', '1', 'a', '2'], true],
  ];
  for (const [rules, pairs, expected] of cases)
    equal(createFilter(rules)?.(bytes(...pairs)), expected, JSON.stringify(rules));
  equal(createFilter([]), undefined);
});

test('SM-27: discovery takes what is included and not excluded, and never the streams of the suite itself', () => {
  const chooses = streamChooser(['device:*', 'x'], ['*:debug']);
  deepEqual(['device:a', 'device:debug', 'x', 'y', 'dlq:device:a'].filter(chooses), ['device:a', 'x']);
  deepEqual(['a', 'dlq:a', 'iotedge-redis:b'].filter(streamChooser([], [])), ['a']);
});

test('SM-27: searches are about as far apart as the database is large and the setting allows, never all at one time', () => {
  const rests = (calls: number, longestMs: number): number[] =>
    [0, 0.5, 1].map((drawn) => Math.round(searchRestMs(calls, longestMs, () => drawn)));
  deepEqual(rests(1, 30_000), [1800, 2000, 2200]);
  deepEqual(rests(100, 30_000), [9000, 10_000, 11_000]);
  deepEqual(rests(1000, 30_000), [27_000, 30_000, 33_000]);
  deepEqual(rests(1, 200), [180, 200, 220]);
  const drawn = new Set(Array.from({ length: 20 }, () => searchRestMs(1000, 30_000)));
  ok(drawn.size > 15, `${drawn.size} different rests of 20`);
});

test('SM-30: a bucket gives its rate, and a debt is waited off', () => {
  let now = 0;
  const bucket = new TokenBucket(100, () => now);
  equal(bucket.available(), 100);
  bucket.spend(150);
  equal(bucket.available(), 0);
  equal(bucket.waitMs(), 510);
  now = 510;
  equal(bucket.available(), 1);
  now = 100_000;
  equal(bucket.available(), 100);
  now = 0;
  equal(bucket.available(), 100, 'a clock that is set back takes nothing');
});

test('SM-30: over time a bucket never gives more than its rate, whatever is taken at once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.array(fc.tuple(fc.nat(2000), fc.nat(3000)), { maxLength: 50 }),
      (rate, steps) => {
        let now = 0;
        const bucket = new TokenBucket(rate, () => now);
        let spent = 0;
        let last = 0;
        for (const [waits, takes] of steps) {
          now += waits;
          if (bucket.available() === 0) continue;
          bucket.spend(takes);
          spent += takes;
          last = takes;
        }
        ok(spent - last <= rate + (rate * now) / 1000 + 1);
      },
    ),
  );
});

test('broker addresses are read, and what is wrong with others is said', () => {
  const cases: readonly [string, string][] = [
    ['mqtt://host', 'mqtt://host:1883'],
    ['mqtts://host', 'mqtts://host:8883'],
    ['ws://host/mqtt?x=1', 'ws://host:80/mqtt'],
    ['wss://host:8084/mqtt', 'wss://host:8084/mqtt'],
    ['mqtt://[::1]:1884', 'mqtt://[::1]:1884'],
    ['mqtt://host:80', 'mqtt://host:80'],
    ['host:1883', 'starts with'],
    ['http://x', 'starts with'],
    ['mqtt://u:p@host', 'no user'],
    ['mqtt://host/path', 'no path'],
    ['mqtt://ho st', 'is a URL'],
  ];
  for (const [given, expected] of cases) {
    const result = parseBroker(given);
    ok(('address' in result ? result.address.text : result.problem).includes(expected), given);
  }
});

test('SM-13: only codes that no second try can change refuse an entry for good', () => {
  deepEqual([0x00, 0x10, 0x87, 0x90, 0x95, 0x99, 0x80, 0x83, 0x97, 0x91, 0xff].map(outcomeOf), [
    'accepted',
    'accepted',
    'refused',
    'refused',
    'refused',
    'refused',
    'again',
    'again',
    'again',
    'again',
    'again',
  ]);
  equal(hex(0x87), '0x87');
});

test('SM-25: content type, position for deduplication, and what is left of the life of an entry', () => {
  const message = {
    stream: 's',
    label: 's',
    db: 1,
    id: '10000-0',
    topic: 't',
    payload: Buffer.from('x'),
    isJson: true,
    bytes: 2,
    redelivered: true,
  };
  const rules = { contentType: 'application/json', expirySeconds: 60, userProperties: true };
  deepEqual(propertiesFor(message, rules, 30_000), {
    contentType: 'application/json',
    messageExpiryInterval: 40,
    userProperties: { stream: 's', 'stream-id': '10000-0', db: '1', redelivered: 'true' },
  });
  equal(propertiesFor(message, rules, 1_000_000).messageExpiryInterval, 1);
  deepEqual(propertiesFor(message, { ...rules, expirySeconds: 0, userProperties: false }, 0), {
    contentType: 'application/json',
  });
  equal(packetSize('t', 1, 1, undefined), 2 + 3 + 2 + 1);
});

test('answers of Redis are read, deleted entries and claims included', () => {
  const reply = [
    [
      Buffer.from('s'),
      [
        [Buffer.from('1-0'), bytes('a', '1')],
        [Buffer.from('2-0'), null],
        [Buffer.from('3-0'), bytes('a', '1'), 5, 2],
      ],
    ],
  ];
  deepEqual(readStreams(reply), [
    {
      key: Buffer.from('s'),
      entries: [
        { id: '1-0', pairs: bytes('a', '1') },
        { id: '2-0', pairs: undefined },
        { id: '3-0', pairs: bytes('a', '1'), deliveries: 2 },
      ],
    },
  ]);
  deepEqual(readStreams(null), []);
  deepEqual(readClaimed([Buffer.from('5-0'), bytes('1-0'), bytes('2-0')]), {
    cursor: '5-0',
    entries: [{ id: '1-0', pairs: undefined }],
    deleted: ['2-0'],
  });
});

test('the dead letters of a stream live on its node of a cluster, and are read back as they were', () => {
  equal(deadLetterKey(Buffer.from('a:b'), 'standalone').toString(), 'dlq:a:b');
  equal(deadLetterKey(Buffer.from('a:b'), 'cluster').toString(), 'dlq:{a:b}');
  equal(deadLetterKey(Buffer.from('a:{x}b'), 'cluster').toString(), 'dlq:a:{x}b');
  const header = bytes('stream', 's', 'id', '7-1', 'group', 'g', 'code', '0x87', 'reason', 'r', 'at', 't');
  deepEqual(readDeadLetter({ id: '9-0', pairs: [...header, ...bytes('f', 'v')] }), {
    letterId: '9-0',
    id: '7-1',
    pairs: bytes('f', 'v'),
  });
  equal(readDeadLetter({ id: '9-0', pairs: bytes('f', 'v') }), undefined);
});
