import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecordScanner } from '../../../modules/redis-sync/src/csv/record-scanner.ts';
import { RowList } from '../../../modules/redis-sync/src/rows/row-list.ts';
import { readRecords } from './read-records.ts';
import type { ReadOptions, ReadRecord } from './read-records.ts';

/** The records, as many of them as possible by the short way; `limits` are taken in turn. */
function readPairs(
  bytes: Buffer,
  { delimiter = ',', isPair = false, maxRecordBytes = 1024, blocks = [] }: ReadOptions,
  limits: readonly number[] = [1000],
): { records: ReadRecord[]; taken: number } {
  const scanner = new RecordScanner({ delimiter: delimiter.charCodeAt(0), isPair, maxRecordBytes });
  const records: ReadRecord[] = [];
  let turn = 0;
  let taken = 0;
  const drain = (): void => {
    for (;;) {
      const rows = new RowList();
      const limit = limits[turn++ % limits.length] ?? 1;
      const before = scanner.offset;
      const size = scanner.takePairs({ rows: limit, bytes: 1_000_000 }, rows);
      assert.equal(scanner.offset, before + size);
      assert.ok(rows.length <= limit);
      taken += rows.length;
      for (const { line, data, keyStart, keyEnd, valueStart, valueEnd } of rows) {
        const fields = [data.toString('utf8', keyStart, keyEnd), data.toString('utf8', valueStart, valueEnd)];
        records.push({ line, fields });
      }
      if (size > 0) continue;
      const found = scanner.next();
      if (found === 'more' || found === 'end') return;
      const { line, start, end, block } = scanner;
      if (found === 'bad') records.push({ line, bad: scanner.malformation });
      else
        records.push(
          ...readRecords(block.subarray(start, end), { delimiter, isPair }).map((record) => ({
            ...record,
            line,
          })),
        );
    }
  };
  let at = 0;
  for (const size of [...blocks, bytes.length]) {
    scanner.append(bytes.subarray(at, at + size));
    at += size;
    drain();
  }
  scanner.finish();
  drain();
  return { records, taken };
}

const soup = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'k:v\n',
        'k,v\n',
        'key,value\r\n',
        'ä:€\r\n',
        'a,b,c\n',
        '"q","v"\n',
        '\n',
        '\r',
        '\r\n',
        ',',
      ),
      fc.constantFrom(':', ',', '"', '\n', '\r', 'x', 'ä', '\0'),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

for (const options of [
  { delimiter: ',', isPair: false },
  { delimiter: ':', isPair: true },
]) {
  test(`RS-40 the short way through rows of key and value reads what the scanner reads one by one (${options.delimiter})`, () => {
    fc.assert(
      fc.property(
        soup,
        fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.option(fc.integer({ min: 0, max: 300 })),
        (text, blocks, limits, badAt) => {
          const bytes = Buffer.from(text);
          if (badAt !== null && badAt < bytes.length) bytes[badAt] = 0xff;
          const all = { ...options, blocks, maxRecordBytes: 12 };
          assert.deepEqual(readPairs(bytes, all, limits).records, readRecords(bytes, all));
        },
      ),
      { numRuns: 3000 },
    );
  });
}

test('RS-40 a file of plain rows goes the short way, up to the last line end of each block', () => {
  for (const end of ['\n', '\r\n']) {
    const bytes = Buffer.from(
      Array.from({ length: 100 }, (_, index) => `k${index}:v:${index}${end}`).join(''),
    );
    const { records, taken } = readPairs(bytes, { delimiter: ':', isPair: true, blocks: [333] });
    assert.deepEqual([records.length, records.at(-1)], [100, { line: 100, fields: ['k99', 'v:99'] }]);
    assert.ok(taken >= 98, `${taken} of 100 rows`);
  }
});
