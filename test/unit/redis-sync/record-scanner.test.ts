import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { RecordScanner } from '../../../modules/redis-sync/src/csv/record-scanner.ts';
import { spectrum } from './csv-spectrum.ts';
import { readRecords } from './read-records.ts';

const fieldsOf = (text: string, options = {}) =>
  readRecords(Buffer.from(text), options).map((r) => r.fields ?? r.bad);

for (const { name, csv, rows } of spectrum) {
  test(`RS-5 reads the csv-spectrum case ${name}, whole and byte by byte`, () => {
    for (const blocks of [[], Array<number>(csv.length).fill(1)]) {
      const [header = [], ...rest] = readRecords(Buffer.from(csv), { blocks }).map(
        (record) => record.fields ?? [],
      );
      const objects = rest.map((fields) =>
        Object.fromEntries(header.map((column, index) => [column, fields[index] ?? ''])),
      );
      assert.deepEqual(objects, rows);
    }
  });
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const cell = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', '"', ',', ';', '\t', '\n', '\r', ' ', 'ä', '€', '😀', '\0'),
    maxLength: 8,
  }),
  fc.string({ maxLength: 12 }),
);
const delimiterOf = fc.constantFrom(',', ';', '\t');

/** A file as a careful writer would write it: quotes where they are needed, and sometimes where they are not. */
const wellFormed = fc
  .record({
    delimiter: delimiterOf,
    end: lineEnd,
    rows: fc.array(
      fc.array(fc.record({ text: cell, isQuoted: fc.boolean() }), { minLength: 1, maxLength: 5 }),
      {
        maxLength: 20,
      },
    ),
    endsWithLineEnd: fc.boolean(),
    blocks: fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 }),
  })
  .map(({ delimiter, end, rows, endsWithLineEnd, blocks }) => {
    const lines = rows.map((row) =>
      row
        .map(({ text, isQuoted }) =>
          isQuoted || /["\r\n]/.test(text) || text.includes(delimiter)
            ? `"${text.replaceAll('"', '""')}"`
            : text,
        )
        .join(delimiter),
    );
    return { delimiter, text: lines.join(end) + (endsWithLineEnd ? end : ''), blocks };
  });

test('RS-5 RS-40 reads well-formed CSV as csv-parse does, however it is cut into blocks', () => {
  fc.assert(
    fc.property(wellFormed, ({ delimiter, text, blocks }) => {
      const bytes = Buffer.from(text);
      // Lone surrogates become U+FFFD on the way to bytes; both sides read the bytes.
      const expected = parse(bytes, {
        delimiter,
        record_delimiter: ['\r\n', '\n', '\r'],
        relax_column_count: true,
        skip_empty_lines: true,
      });
      const found = readRecords(bytes, { delimiter, blocks });
      assert.deepEqual(
        found.map((record) => record.fields ?? record.bad),
        expected,
      );
    }),
    { numRuns: 1500 },
  );
});

test('RS-40 whatever the bytes and the blocks are, the records are the same and the scan ends at the last byte', () => {
  const soup = fc
    .uint8Array({ maxLength: 120 })
    .chain((noise) =>
      fc
        .array(fc.constantFrom(0x22, 0x2c, 0x0a, 0x0d, 0x61, 0xc3, 0x00), { maxLength: 120 })
        .map((syntax) => Buffer.from(noise.length % 2 === 0 ? syntax : [...noise])),
    );
  fc.assert(
    fc.property(soup, fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 40 }), (bytes, blocks) => {
      const whole = readRecords(bytes);
      assert.deepEqual(readRecords(bytes, { blocks }), whole);
      const scanner = new RecordScanner({ delimiter: 0x2c, isPair: false, maxRecordBytes: 1000 });
      scanner.append(bytes);
      scanner.finish();
      while (scanner.next() !== 'end');
      assert.equal(scanner.offset, bytes.length);
    }),
    { numRuns: 2000 },
  );
});

test('RS-19 a scan that begins at any boundary finds what is left, with the right line numbers', () => {
  fc.assert(
    fc.property(wellFormed, ({ delimiter, text }) => {
      const bytes = Buffer.from(text);
      const all = readRecords(bytes, { delimiter });
      const scanner = new RecordScanner({
        delimiter: delimiter.charCodeAt(0),
        isPair: false,
        maxRecordBytes: 1000,
      });
      scanner.append(bytes);
      scanner.finish();
      for (let count = 1; scanner.next() !== 'end'; count += 1) {
        const rest = readRecords(bytes.subarray(scanner.offset), { delimiter });
        const shifted = rest.map((record) => ({ ...record, line: record.line + scanner.nextLine - 1 }));
        assert.deepEqual(shifted, all.slice(count));
      }
    }),
    { numRuns: 300 },
  );
});

const malformed: readonly (readonly [text: string, lines: readonly (readonly [number, string])[]])[] = [
  [
    'a,"x"y\nb,2\n',
    [
      [1, 'text after a closing quote'],
      [2, 'b|2'],
    ],
  ],
  [
    'a,x"y\nb,2\n',
    [
      [1, 'quote in mid-field'],
      [2, 'b|2'],
    ],
  ],
  [
    'a,"x\nb,2\nc,3\n',
    [
      [1, 'quote not closed'],
      [2, 'b|2'],
      [3, 'c|3'],
    ],
  ],
  [
    'a,1\nb,"x\ny","z\nc,3\n',
    [
      [1, 'a|1'],
      [3, 'quote not closed'],
      [4, 'c|3'],
    ],
  ],
  [
    'a,"x\ny"z\nb,2\n',
    [
      [1, 'text after a closing quote'],
      [2, 'quote in mid-field'],
      [3, 'b|2'],
    ],
  ],
  [
    'a,"x",y"z\nb,2',
    [
      [1, 'quote in mid-field'],
      [2, 'b|2'],
    ],
  ],
  ['a,"', [[1, 'quote not closed']]],
  ['\r\n\r\n a, 1 \r\n', [[3, ' a| 1 ']]],
];

for (const [text, expected] of malformed) {
  test(`RS-40 a fault costs its own line only: ${JSON.stringify(text)}`, () => {
    for (const blocks of [[], Array<number>(text.length).fill(1)]) {
      const found = readRecords(Buffer.from(text), { blocks }).map(({ line, fields, bad }) => [
        line,
        bad ?? fields?.join('|'),
      ]);
      assert.deepEqual(found, expected);
    }
  });
}

test('RS-40 a quote not closed within maxRecordBytes is a fault of its line, long before the end of the file', () => {
  const text = `a,"open\n${'b,1\n'.repeat(50)}`;
  const found = readRecords(Buffer.from(text), { maxRecordBytes: 40, blocks: Array<number>(20).fill(10) });
  assert.deepEqual(found[0], { line: 1, bad: 'quote not closed' });
  assert.equal(found.length, 51);
  assert.deepEqual(found.at(-1), { line: 51, fields: ['b', '1'] });
});

test('RS-6 in the key:value form quotes are literal and only the first colon separates', () => {
  const options = { delimiter: ':', isPair: true };
  assert.deepEqual(fieldsOf('url:http://x\n"k":"v"\nk"x:y"z\n', options), [
    ['url', 'http://x'],
    ['"k"', '"v"'],
    ['k"x', 'y"z'],
  ]);
});

test('RS-8 RS-9 accepts LF, CRLF and CR line ends mixed in one file and passes over blank lines', () => {
  assert.deepEqual(readRecords(Buffer.from('a,1\r\rb,2\r\n\r\nc,3\n\nd,4')), [
    { line: 1, fields: ['a', '1'] },
    { line: 3, fields: ['b', '2'] },
    { line: 5, fields: ['c', '3'] },
    { line: 7, fields: ['d', '4'] },
  ]);
});

test('RS-10 a byte that is not UTF-8 is a fault of its row, and the rows around it are good', () => {
  const bytes = Buffer.concat([
    Buffer.from('a,1\nb,'),
    Buffer.from([0xff]),
    Buffer.from('\nc,"'),
    Buffer.from([0xc3]),
    Buffer.from('"\nd,ä\n'),
  ]);
  assert.deepEqual(
    readRecords(bytes).map(({ fields, bad }) => fields ?? bad),
    [['a', '1'], 'not UTF-8', 'not UTF-8', ['d', 'ä']],
  );
});

test('a line longer than maxRecordBytes is a fault and is not kept in memory', () => {
  const scanner = new RecordScanner({ delimiter: 0x2c, isPair: false, maxRecordBytes: 100 });
  const found: string[] = [];
  const drain = (): void => {
    for (let next = scanner.next(); next !== 'more' && next !== 'end'; next = scanner.next()) {
      found.push(next === 'bad' ? `${scanner.line} ${scanner.malformation}` : `${scanner.line} ${next}`);
    }
  };
  scanner.append(Buffer.from('a,1\nb,'));
  for (let count = 0; count < 1000; count += 1) {
    scanner.append(Buffer.alloc(1000, 'x'));
    drain();
    assert.ok(scanner.block.length < 3000);
    if (count > 1) assert.equal(scanner.isAtBoundary, false);
  }
  scanner.append(Buffer.from('\nc,3\n'));
  drain();
  assert.deepEqual(found, ['1 plain', '2 longer than maxRecordBytes', '3 plain']);
});

test('NUL bytes are bytes like any other', () => {
  assert.deepEqual(fieldsOf('a\0b,c\0\n"\0","d"\n'), [
    ['a\0b', 'c\0'],
    ['\0', 'd'],
  ]);
});
