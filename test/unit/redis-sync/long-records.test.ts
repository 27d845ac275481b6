import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CsvReader } from '../../../modules/redis-sync/src/csv/csv-reader.ts';
import { RecordScanner } from '../../../modules/redis-sync/src/csv/record-scanner.ts';
import { syncSettings } from '../../helpers/sync-bed.ts';

const BLOCK = 64 * 1024;
const RECORD_BYTES = 60 * 1024 * 1024;

/** Seconds of processor time, which the load of the machine changes little. */
function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function blocksOf(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK) blocks.push(bytes.subarray(at, at + BLOCK));
  return blocks;
}

/** One look at each byte. */
function linearPass(bytes: Buffer): void {
  let lines = 0;
  for (const byte of bytes) if (byte === 0x0a) lines += 1;
  assert.ok(lines > 0);
}

const texts: readonly (readonly [name: string, filler: string, quote: string, found: string])[] = [
  ['quoted', `${'x'.repeat(90)}""é\n`, '"', 'quoted'],
  ['plain', `${'x'.repeat(95)},é`, '', 'plain'],
];

for (const [name, filler, quote, expected] of texts) {
  test(`RS-12 a ${name} record of 60 MB in small blocks costs a few looks at each byte, not one per block`, () => {
    const value = filler.repeat(Math.floor(RECORD_BYTES / Buffer.byteLength(filler)));
    const bytes = Buffer.from(`k,${quote}${value}${quote}\nlast,1\n`);
    const linear = cpuSeconds(() => linearPass(bytes));
    const scanner = new RecordScanner({ delimiter: 0x2c, isPair: false, maxRecordBytes: 64 * 1024 * 1024 });
    const found: string[] = [];
    let largest = 0;
    const spent = cpuSeconds(() => {
      for (const block of blocksOf(bytes)) {
        scanner.append(block);
        largest = Math.max(largest, scanner.block.length);
        for (let next = scanner.next(); next !== 'more'; next = scanner.next()) {
          found.push(`${next} ${scanner.end - scanner.start}`);
        }
      }
    });
    const length = bytes.length - '\nlast,1\n'.length;
    assert.deepEqual(found, [`${expected} ${length}`, 'plain 6']);
    assert.ok(largest <= length + BLOCK);
    assert.ok(spent < 0.5 + 15 * linear, `${spent} s, and ${linear} s for one look at each byte`);
  });
}

test('RS-12 a first record of 16 MB, by which the format is found out, is not looked at anew for each block', () => {
  const bytes = Buffer.from(`k,"${'x'.repeat(16 * 1024 * 1024)}"\nlast,"1"\n`);
  const linear = cpuSeconds(() => linearPass(bytes));
  const { csvDelimiter, csvHeader, valueType, maxRecordBytes, ttlSeconds } = syncSettings({});
  const reader = new CsvReader({
    csvDelimiter,
    csvHeader,
    valueType,
    maxRecordBytes,
    ttlSeconds,
    batchRows: 1000,
    batchBytes: 1024 * 1024,
  });
  let rows = 0;
  const take = (): void => {
    for (let batch = reader.take(); batch !== undefined; batch = reader.take()) rows += batch.rows.length;
  };
  const spent = cpuSeconds(() => {
    for (const block of blocksOf(bytes)) {
      assert.equal(reader.append(block), undefined);
      take();
    }
    assert.equal(reader.finish(), undefined);
    take();
  });
  assert.equal(rows, 2);
  assert.ok(spent < 2 + 60 * linear, `${spent} s, and ${linear} s for one look at each byte`);
});
