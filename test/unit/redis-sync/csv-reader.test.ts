import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CsvReader } from '../../../modules/redis-sync/src/csv/csv-reader.ts';
import type { Batch, ReaderOptions } from '../../../modules/redis-sync/src/csv/csv-reader.ts';

const defaults: ReaderOptions = {
  csvDelimiter: 'auto',
  csvHeader: 'auto',
  valueType: 'string',
  ttlSeconds: 0,
  maxRecordBytes: 1024 * 1024,
  batchRows: 1000,
  batchBytes: 1024 * 1024,
};

interface Outcome {
  readonly batches: readonly Batch[];
  readonly rows: readonly string[];
  readonly rejects: readonly string[];
  readonly problem?: string;
}

function readAll(
  bytes: Buffer,
  options: Partial<ReaderOptions> = {},
  blocks: readonly number[] = [],
): Outcome {
  const reader = new CsvReader({ ...defaults, ...options });
  const batches: Batch[] = [];
  const rows: string[] = [];
  let problem: string | undefined;
  const drain = (): void => {
    for (let batch = reader.take(); batch !== undefined; batch = reader.take()) {
      batches.push(batch);
      for (const { op, data, keyStart, keyEnd, valueStart, valueEnd, fields } of batch.rows) {
        const value = fields?.map(String).join('|') ?? data.toString('utf8', valueStart, valueEnd);
        rows.push(`${op} ${data.toString('utf8', keyStart, keyEnd)}=${value}`);
      }
    }
  };
  let at = 0;
  for (const size of [...blocks, bytes.length]) {
    problem ??= reader.append(bytes.subarray(at, at + size))?.problem;
    at += size;
    if (problem === undefined) drain();
  }
  problem ??= reader.finish()?.problem;
  if (problem === undefined) drain();
  const rejects = batches.flatMap((batch) => batch.rejects.map(({ line, reason }) => `${line} ${reason}`));
  return { batches, rows, rejects, ...(problem === undefined ? {} : { problem }) };
}

test("RS-6 reads the seed's file", () => {
  const { rows, rejects } = readAll(Buffer.from('key1:value1\r\nkey2:value2\r\n\r\nkey3:value3'));
  assert.deepEqual(rows, ['set key1=value1', 'set key2=value2', 'set key3=value3']);
  assert.deepEqual(rejects, []);
});

test('RS-7 strips a byte order mark and refuses UTF-16 in one sentence', () => {
  const text = Buffer.from('\ufeffkey,value\na,1\n');
  assert.deepEqual(readAll(text).rows, ['set a=1']);
  assert.deepEqual(readAll(text, {}, [1, 1, 1, 1]).rows, ['set a=1']);
  assert.match(readAll(Buffer.from('\ufeffa:1\n', 'utf16le')).problem ?? '', /UTF-16; save it as UTF-8/);
});

test('RS-40 rows with quotes and rows without come out in file order, whatever the batches and blocks', () => {
  const line = fc.constantFrom(
    'a,1',
    'b,"2"',
    'c,"x\ny"',
    '"d","4,4"',
    'e,5"',
    ',6',
    'f,"7',
    '',
    'g,8,9',
    '"h","i""j"',
  );
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 60 }),
      fc.integer({ min: 1, max: 7 }),
      fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 20 }),
      (lines, batchRows, blocks) => {
        const bytes = Buffer.from(`key,value\n${lines.join('\n')}\n`);
        const whole = readAll(bytes, { csvDelimiter: 'comma' });
        const cut = readAll(bytes, { csvDelimiter: 'comma', batchRows }, blocks);
        assert.deepEqual(cut.rows, whole.rows);
        assert.deepEqual(cut.rejects, whole.rejects);
      },
    ),
    { numRuns: 500 },
  );
});

test('RS-19 a reader that resumes behind any batch finds exactly the rest', () => {
  const text = Array.from({ length: 200 }, (_, index) =>
    index % 9 === 0 ? `k${index},"a\r\nb"` : index % 31 === 0 ? `k${index},x"y` : `k${index},v${index}`,
  ).join('\r\n');
  const bytes = Buffer.from(`key,value\r\n${text}`);
  const options = { batchRows: 7 };
  const whole = readAll(bytes, options);
  const format = { delimiter: 'comma', hasHeader: true, columns: ['key', 'value'] } as const;
  let done = 0;
  let rejected = 0;
  for (const { offset, nextLine, rows, rejects } of whole.batches) {
    done += rows.length;
    rejected += rejects.length;
    const resume = { offset, line: nextLine, format };
    const rest = readAll(bytes.subarray(offset), { ...options, resume });
    assert.deepEqual(rest.rows, whole.rows.slice(done));
    assert.deepEqual(rest.rejects, whole.rejects.slice(rejected));
  }
  assert.equal(whole.batches.at(-1)?.offset, bytes.length);
});

test('batches end by rows or by bytes', () => {
  const bytes = Buffer.from('a:1234567890\n'.repeat(100));
  assert.ok(readAll(bytes, { batchRows: 30 }).batches.every(({ rows }) => rows.length <= 30));
  assert.ok(readAll(bytes, { batchBytes: 60 }).batches.every(({ rows }) => rows.length <= 5));
});

test('a file of no rows yields no batch and no problem', () => {
  for (const text of ['', '\n\n', '\ufeff', 'key,value\n']) {
    assert.deepEqual(readAll(Buffer.from(text)), { batches: [], rows: [], rejects: [] });
  }
});

test('a value of many blocks is one row, and too long a record costs that row only', () => {
  const long = 'x'.repeat(3_000_000);
  const bytes = Buffer.from(`a:1\nb:${long}\nc:3\n`);
  const blocks = Array<number>(30).fill(100_000);
  assert.equal(readAll(bytes, { maxRecordBytes: 4_000_000 }, blocks).rows[1]?.length, long.length + 6);
  const short = readAll(bytes, { maxRecordBytes: 1_000_000 }, blocks);
  assert.deepEqual(short.rows, ['set a=1', 'set c=3']);
  assert.deepEqual(short.rejects, ['2 longer than maxRecordBytes']);
});
