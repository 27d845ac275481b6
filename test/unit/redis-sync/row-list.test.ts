import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandBuffer } from '../../../modules/common/src/redis/command-buffer.ts';
import { CsvReader } from '../../../modules/redis-sync/src/csv/csv-reader.ts';
import { writeRows } from '../../../modules/redis-sync/src/rows/row-commands.ts';
import type { RowList } from '../../../modules/redis-sync/src/rows/row-list.ts';

function read(text: string): RowList {
  const reader = new CsvReader({
    csvDelimiter: 'comma',
    csvHeader: 'absent',
    valueType: 'string',
    ttlSeconds: 0,
    maxRecordBytes: 1024,
    batchRows: 1000,
    batchBytes: 1024 * 1024,
  });
  assert.equal(reader.append(Buffer.from(text)), undefined);
  assert.equal(reader.finish(), undefined);
  const batch = reader.take();
  assert.ok(batch);
  return batch.rows;
}

function commandsOf(rows: RowList): string {
  const out = new CommandBuffer(0);
  writeRows(out, rows, 0);
  return out.bytes.toString();
}

const row = (line: number, key: string, value: string) => ({ line, key, value });

function rowsOf(rows: RowList) {
  return [...rows].map(({ line, data, keyStart, keyEnd, valueStart, valueEnd }) =>
    row(line, data.toString('utf8', keyStart, keyEnd), data.toString('utf8', valueStart, valueEnd)),
  );
}

test('RS-21 each plain row knows its line, behind blank lines, bad rows and records of several lines too', () => {
  const rows = read('a,1\nb,2\n\n\nc,3\nb"d,4\n"d\nd",4\ne,"5"\nf,6\n');
  assert.deepEqual(rowsOf(rows), [
    row(1, 'a', '1'),
    row(2, 'b', '2'),
    row(5, 'c', '3'),
    row(7, 'd\nd', '4'),
    row(9, 'e', '5'),
    row(10, 'f', '6'),
  ]);
});

test('rows that lie ready to be sent are what would be written of them one by one, whatever stood between them', () => {
  const rows = read('a,1\n\nb,2\nb"d,4\nc,"3"\n');
  assert.ok(rows.isPlain);
  assert.equal(commandsOf(rows), `*7\r\n$4\r\nMSET\r\n${rows.pairs.bytes.toString()}`);
  assert.equal(rows.length, 3);
});

test('a row with a time to live or a deletion among them, or no row at all, is not sent from there', () => {
  assert.equal(read('a,1\nb,2,60\nc,3\n').isPlain, false);
  assert.equal(read('a,1\nb,,,,del\n').isPlain, false);
  const rows = read('a,1\n');
  rows.clear();
  assert.equal(rows.isPlain, false);
});
