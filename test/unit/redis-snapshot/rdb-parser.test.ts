import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Crc64 } from '@iotedge-redis/common';
import { unpackLzf } from '../../../modules/redis-snapshot/src/rdb/lzf.ts';
import { RdbCheck } from '../../../modules/redis-snapshot/src/rdb/rdb-check.ts';
import type { RdbFacts } from '../../../modules/redis-snapshot/src/rdb/rdb-check.ts';
import { RdbFailure } from '../../../modules/redis-snapshot/src/rdb/rdb-failure.ts';
import { RdbParser } from '../../../modules/redis-snapshot/src/rdb/rdb-parser.ts';

const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
const bytes = (...values: number[]): Buffer => Buffer.from(values);
const id = Buffer.alloc(16, 1);
const time = Buffer.alloc(8, 2);

/** Bodies of the types by number, built by hand from the description of the format. */
const pending = (...more: Buffer[]): Buffer => Buffer.concat([bytes(1), id, ...more]);
const streamHead = Buffer.concat([bytes(1), text('0123456789abcdef'), text('listpack'), bytes(3, 9, 1)]);
/** With one group of one consumer, of which later types keep a second time. */
const streamWithGroup = (...times: Buffer[]): Buffer =>
  Buffer.concat([
    streamHead,
    bytes(1, 1, 1, 1, 9),
    bytes(1),
    text('g'),
    bytes(1, 2, 3),
    pending(time, bytes(1)),
    bytes(1),
    text('c'),
    ...times,
    pending(),
  ]);
const streamOfType21 = streamWithGroup(time, time);
const BODIES: readonly (readonly [type: number, body: Buffer])[] = [
  [0, text('value')],
  [0, bytes(0xc0, 5)],
  [0, bytes(0xc1, 5, 1)],
  [0, bytes(0xc2, 5, 1, 0, 0)],
  [0, bytes(0xc3, 4, 3, 2, 97, 98, 99)],
  [0, Buffer.concat([bytes(0x40, 100), Buffer.alloc(100)])],
  [0, Buffer.concat([bytes(0x80, 0, 0, 0, 70), Buffer.alloc(70)])],
  [0, Buffer.concat([bytes(0x81, 0, 0, 0, 0, 0, 0, 0, 70), Buffer.alloc(70)])],
  [1, Buffer.concat([bytes(2), text('a'), text('b')])],
  [3, Buffer.concat([bytes(3), text('a'), text('1.5'), text('b'), bytes(253), text('c'), bytes(255)])],
  [4, Buffer.concat([bytes(1), text('a'), text('b')])],
  [5, Buffer.concat([bytes(1), text('a'), time])],
  [
    7,
    Buffer.concat([
      bytes(0x81, ...time),
      bytes(1, 5, 2, 6, 3, 1, 2, 3, 4, 4, ...time, 5),
      text('x'),
      bytes(0),
    ]),
  ],
  [14, Buffer.concat([bytes(2), text('ziplist'), text('ziplist')])],
  [
    15,
    Buffer.concat([
      streamHead,
      bytes(1),
      text('g'),
      bytes(1, 2),
      pending(time, bytes(1)),
      bytes(1),
      text('c'),
      time,
      pending(),
    ]),
  ],
  [18, Buffer.concat([bytes(2, 1), text('plain'), bytes(2), text('listpack')])],
  [19, streamWithGroup(time)],
  [21, streamOfType21],
  [24, Buffer.concat([time, bytes(1, 3), text('a'), text('b')])],
  [25, Buffer.concat([time, text('listpack')])],
  [
    26,
    Buffer.concat([
      streamOfType21,
      bytes(0x40, 100, 50),
      bytes(2),
      text('producer'),
      bytes(2),
      text('first'),
      bytes(1, 2),
      text('second'),
      bytes(0x40, 100, 0),
      text('idle'),
      bytes(0),
      bytes(7, 1),
    ]),
  ],
];

function fileOf(entries: readonly Buffer[], version = 'REDIS0013'): Buffer {
  const body = Buffer.concat([
    Buffer.from(version),
    bytes(250),
    text('redis-ver'),
    text('8.0.0'),
    bytes(250),
    text('whatever'),
    Buffer.concat([bytes(0x40, 200), Buffer.alloc(200)]),
    bytes(245),
    text('#!lua name=x'),
    bytes(254, 3, 251, 1, 0, 244, 1, 2, 3),
    ...entries,
    bytes(255),
  ]);
  return Buffer.concat([body, Crc64.redis().update(body).digest()]);
}

const entry = ([type, body]: readonly [number, Buffer], name: string): Buffer =>
  Buffer.concat([bytes(252), time, bytes(type), text(name), body]);
const WHOLE = fileOf(BODIES.map((one, index) => entry(one, `key ${index}`)));

interface Item {
  readonly kind: string;
  readonly db: number;
  readonly key: string;
  readonly type: number;
  readonly value: string;
}

function read(pieces: Iterable<Buffer>): Item[] {
  const parser = new RdbParser({ keepsValues: true });
  const items: Item[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
      const value = Buffer.concat(parser.payload());
      assert.equal(value.length, parser.valueBytes);
      items.push({
        kind: item,
        db: parser.db,
        key: parser.key.toString(),
        type: parser.type,
        value: value.toString('hex'),
      });
      parser.clear();
    }
  }
  parser.finish();
  assert.equal(parser.isVerified, true);
  return items;
}

const EXPECTED = read([WHOLE]);

function cut(file: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let index = 0; from < file.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    pieces.push(file.subarray(from, from + size));
    from += size;
  }
  return pieces;
}

test('SN-11 finds the end of a value of every type, and says what it is', () => {
  const keys = EXPECTED.filter(({ kind }) => kind === 'key');
  assert.deepEqual(
    keys.map(({ type, value, db }) => [type, value, db]),
    BODIES.map(([type, body]) => [type, body.toString('hex'), 3]),
  );
  assert.equal(EXPECTED.filter(({ kind }) => kind === 'function').length, 1);
});

test('SN-11 finds the same in however small pieces the file comes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }), (sizes) => {
      assert.deepEqual(read(cut(WHOLE, sizes)), EXPECTED);
    }),
  );
  assert.deepEqual(read(cut(WHOLE, [1])), EXPECTED);
});

/** The same, the memory of each piece spoilt once the next one has been taken. */
function* spoilt(file: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let before = Buffer.alloc(0);
  for (const piece of cut(file, sizes)) {
    const given = Buffer.from(piece);
    yield given;
    before.fill(0xee);
    before = given;
  }
}

test('SN-11 what lies in a piece is not looked at any more once the next one has been given', () => {
  for (const size of [1, 7, 64, 300]) assert.deepEqual(read(spoilt(WHOLE, [size])), EXPECTED);
});

const sized = (size: number, fill: number): Buffer =>
  Buffer.concat([bytes(0x80, 0, 0, size >> 8, size & 0xff), Buffer.alloc(size, fill)]);
/** Of a size that real files have: keys and values begin in one piece and end in another, some of them far into it. */
const LONG = fileOf(
  Array.from({ length: 120 }, (_, index) =>
    Buffer.concat([
      bytes(0),
      sized((index * 977) % 9000, index),
      sized((index * 3571) % (index % 3 === 0 ? 30_000 : 90), 255 - index),
    ]),
  ),
);

test('SN-11 finds the same in long pieces, whose memory is used again, wherever they are cut', () => {
  const expected = read([LONG]);
  assert.equal(expected.length, 121);
  for (const sizes of [[4096], [4097], [5000, 1], [9000, 4095, 3], [65_536], [200_000, 10]])
    assert.deepEqual(read(spoilt(LONG, sizes)), expected, String(sizes));
});

test('SN-10 bytes behind the end are refused also where the end lies in the seam of two long pieces', () => {
  // The first piece ends inside of the value's length, and the seam with the file.
  const file = fileOf([bytes(0), text('key'), sized(4084, 1)]);
  const more = Buffer.concat([file, Buffer.alloc(10_000, 1)]);
  for (const first of [file.length - 4096, file.length - 4095, file.length - 1, file.length])
    assert.throws(
      () => check(more, [first, 20_000]),
      (error: unknown) => error instanceof RdbFailure && error.offset === file.length,
      String(first),
    );
});

function check(file: Buffer, sizes: readonly number[]): void {
  const checked = new RdbCheck();
  for (const piece of cut(file, sizes)) checked.push(piece);
  checked.finish();
}

test('SN-10 a file that is cut off anywhere is refused, with the place', () => {
  for (let length = 0; length < WHOLE.length; length += 1) {
    assert.throws(
      () => check(WHOLE.subarray(0, length), [64]),
      (error: unknown) => error instanceof RdbFailure && error.offset === length,
      String(length),
    );
  }
});

test('SN-10 a file in which any one byte is another one is refused, with a place', () => {
  for (let at = 0; at < WHOLE.length - 8; at += 1) {
    const file = Buffer.from(WHOLE);
    file[at] = (file[at] ?? 0) ^ (1 + (at % 255));
    assert.throws(() => check(file, [100]), RdbFailure, String(at));
  }
});

test('SN-10 nonsense behind a right checksum ends in a refusal or is taken for what it says, soon and in little memory', () => {
  fc.assert(
    fc.property(fc.nat(WHOLE.length - 10), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const body = Buffer.from(WHOLE.subarray(0, WHOLE.length - 8));
      body[at] = (body[at] ?? 0) ^ change;
      const file = Buffer.concat([body, Crc64.redis().update(body).digest()]);
      try {
        check(file, [100]);
      } catch (error) {
        assert.ok(error instanceof RdbFailure, String(error));
      }
    }),
    { numRuns: 3000 },
  );
});

for (const [problem, file, offset] of [
  ['no RDB', Buffer.from('PK\u0003\u0004 something else'), 0],
  [
    'a length beyond any file',
    fileOf([bytes(0, 1, 97, 0x81, 255, 255, 255, 255, 255, 255, 255, 255)]),
    undefined,
  ],
  ['a key of 2 GB', fileOf([bytes(0, 0x80, 0x80, 0, 0, 0)]), undefined],
  ['a packed key that claims to be huge', fileOf([bytes(0, 0xc3, 1, 0x80, 0, 255, 255, 255, 0)]), undefined],
  ['an unknown type', fileOf([bytes(99, 1, 97)]), undefined],
  ['a function of a release candidate', fileOf([bytes(246, 1, 97)]), undefined],
  ['bytes behind the end', Buffer.concat([WHOLE, bytes(0)]), WHOLE.length],
] as const) {
  test(`SN-10 refuses ${problem}`, () => {
    assert.throws(
      () => check(file, [32]),
      (error: unknown) => error instanceof RdbFailure && (offset === undefined || error.offset === offset),
    );
  });
}

test('SN-11 type 22 is one thing in files of Redis and another in those of Valkey', () => {
  const valkey = Buffer.concat([bytes(22), text('k'), bytes(1), text('a'), text('b'), time]);
  check(fileOf([valkey], 'VALKEY080'), [1000]);
  assert.throws(() => check(fileOf([valkey], 'REDIS0013'), [1000]), RdbFailure);
});

const UNKNOWN = bytes(99, 1, 97, 255, 1, 2, 3);
const METADATA = Buffer.concat([bytes(243, 1, 1, 2, 3, 4, 2, 9, 0), bytes(0), text('k'), text('v')]);

function checkUnread(file: Buffer, size: number): RdbFacts {
  const checked = new RdbCheck({ passesUnknown: true });
  for (const piece of cut(file, [size])) checked.push(piece);
  return checked.finish();
}

for (const [what, part, named] of [
  ['a type', UNKNOWN, /type 99, which .* at byte \d+$/],
  ['metadata of a key', METADATA, /metadata of modules/],
  ['metadata of a key that expires', Buffer.concat([bytes(252), time, METADATA]), /metadata of modules/],
] as const) {
  test(`SN-2 a file with ${what} that this module does not know is whole by its checksum, in pieces of any size, where that is asked for`, () => {
    const file = fileOf([entry([0, text('value')], 'known'), part]);
    for (const size of [1, 2, 7, 8, 9, 10, file.length]) {
      const facts = checkUnread(file, size);
      assert.deepEqual([facts.bytes, facts.isVerified, facts.version], [file.length, true, 13]);
      assert.match(facts.unread ?? '', named);
    }
    assert.throws(() => check(file, [9]), /take a newer one, or have a server load the file/);
  });
}

test('SN-2 a file with an unknown type is refused when a byte of it is another one, when it is cut off, and without a checksum', () => {
  const file = fileOf([UNKNOWN]);
  for (let at = 0; at < file.length; at += 1) {
    const other = Buffer.from(file);
    other[at] = (other[at] ?? 0) ^ (1 + (at % 255));
    assert.throws(() => checkUnread(other, 9), RdbFailure, `byte ${at}`);
    assert.throws(() => checkUnread(file.subarray(0, at), 9), RdbFailure, `cut at ${at}`);
  }
  assert.throws(() => checkUnread(Buffer.concat([file, bytes(0)]), 9), RdbFailure);
  const bare = Buffer.concat([file.subarray(0, -8), Buffer.alloc(8)]);
  assert.throws(() => checkUnread(bare, 9), /has no checksum \(rdbchecksum no\)/);
});

/** Of a single string or of parts, with lengths in each of their forms, and some that are left to a slower reader. */
const lengthOf = (size: number): Buffer => (size < 64 ? bytes(size) : bytes(0x40 | (size >> 8), size & 0xff));
const size = fc.integer({ min: 0, max: 400 });
const string = fc.oneof(
  { weight: 40, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 63 }).map(text) },
  {
    weight: 20,
    arbitrary: fc
      .integer({ min: 0, max: 2 })
      .map((form) => Buffer.concat([bytes(0xc0 | form), Buffer.alloc(1 << form, 7)])),
  },
  { weight: 20, arbitrary: size.map((plain) => Buffer.concat([lengthOf(plain), Buffer.alloc(plain, 9)])) },
  {
    weight: 20,
    arbitrary: fc
      .tuple(size, size)
      .map(([packed, unpacked]) =>
        Buffer.concat([bytes(0xc3), lengthOf(packed), lengthOf(unpacked), Buffer.alloc(packed, 6)]),
      ),
  },
  { weight: 1, arbitrary: size.map((plain) => sized(plain, 8)) },
);
const counted = (part: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.array(part, { maxLength: 70 }).map((parts) => {
    const { length } = parts;
    return Buffer.concat([lengthOf(length), ...parts]);
  });
const value = fc.oneof(
  fc.constantFrom(0, 9, 16, 20).chain((type) => string.map((body) => [type, body] as const)),
  counted(string).map((body) => [2, body] as const),
  counted(fc.tuple(string, string).map((pair) => Buffer.concat(pair))).map((body) => [4, body] as const),
  counted(string.map((member) => Buffer.concat([member, time]))).map((body) => [5, body] as const),
  counted(string.map((node) => Buffer.concat([bytes(2), node]))).map((body) => [18, body] as const),
  fc.constantFrom(...BODIES),
);
const key = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 63 }).map(text),
  fc.constantFrom('watched:', 'watched:key', 'watched', 'w').map(text),
  fc.constantFrom(bytes(0xc0, 5), bytes(0xc1, 5, 1), sized(70, 7), bytes(0xc3, 4, 3, 2, 119, 98, 99)),
);
const item = fc
  .tuple(fc.constantFrom(bytes(), bytes(252, ...time), bytes(248, 9)), key, value)
  .map(([before, name, [type, body]]) => Buffer.concat([before, bytes(type), name, body]));

function factsOf(file: Buffer, sizes: readonly number[]): unknown[] {
  const seen: unknown[] = [];
  const visit = (parser: RdbParser): void => {
    seen.push([parser.key.toString('hex'), parser.itemOffset, parser.offset, parser.db]);
  };
  const checked = new RdbCheck({ watched: { prefix: Buffer.from('watched:'), visit } });
  for (const piece of cut(file, sizes)) checked.push(piece);
  return [checked.finish(), seen];
}

test('SN-11 a check counts the same by runs of entries as one by one, and tells of the keys that are watched', () => {
  const oneByOne = (file: Buffer): unknown[] => {
    const parser = new RdbParser({ keepsValues: false });
    const counts = new Map<number, { keys: number; expires: number }>();
    const seen: unknown[] = [];
    let largest = { bytes: 0, offset: 0 };
    parser.push(file);
    for (let found = parser.next(); found !== 'end'; found = parser.next()) {
      if (found === 'key') {
        const count = counts.get(parser.db) ?? { keys: 0, expires: 0 };
        count.keys += 1;
        count.expires += parser.expireAtMs === undefined ? 0 : 1;
        counts.set(parser.db, count);
        if (parser.valueBytes > largest.bytes)
          largest = { bytes: parser.valueBytes, offset: parser.itemOffset };
        if (parser.keyBegins(Buffer.from('watched:')))
          seen.push([parser.key.toString('hex'), parser.itemOffset, parser.offset, parser.db]);
      }
      parser.clear();
    }
    return [counts, largest, seen];
  };
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
      (items, sizes) => {
        const file = fileOf(items);
        const [whole, seen] = factsOf(file, [file.length]) as [RdbFacts, unknown[]];
        assert.deepEqual([whole.databases, whole.largest, seen], oneByOne(file));
        assert.deepEqual(factsOf(file, sizes), [whole, seen]);
        assert.deepEqual(factsOf(file, [1]), [whole, seen]);
      },
    ),
  );
});

test('SN-11 a check counts the same wherever two pieces meet', () => {
  const named = (name: string): Buffer =>
    Buffer.concat([bytes(252), time, bytes(0), text(name), text('value of some bytes')]);
  const file = fileOf([named('key'), named('watched:key'), named('another'), named('watched')]);
  const whole = factsOf(file, [file.length]);
  for (let first = 1; first < file.length; first += 1)
    assert.deepEqual(factsOf(file, [first, file.length]), whole, String(first));
});

test('counts keys and expiries by database, and names the largest value', () => {
  const checked = new RdbCheck();
  checked.push(WHOLE);
  const facts = checked.finish();
  assert.deepEqual([...facts.databases], [[3, { keys: BODIES.length, expires: BODIES.length }]]);
  assert.deepEqual([facts.keys, facts.functions, facts.serverVersion], [BODIES.length, 1, '8.0.0']);
  assert.equal(facts.largest.bytes, Math.max(...BODIES.map(([, body]) => body.length)));
});

test('unpacks what LZF packed, repeats that overlap included, and nothing that is not whole', () => {
  assert.equal(unpackLzf(bytes(0, 97, 0xe0, 3, 0), 13)?.toString(), 'a'.repeat(13));
  assert.equal(unpackLzf(bytes(1, 97, 98, 0x20, 1), 5)?.toString(), 'ababa');
  for (const [packed, size] of [
    [bytes(5, 97), 6],
    [bytes(0x20, 5), 3],
    [bytes(0, 97), 2],
    [bytes(0xe0), 9],
    [bytes(0, 97), 1e12],
  ] as const)
    assert.equal(unpackLzf(packed, size), undefined);
});
