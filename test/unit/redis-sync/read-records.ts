import { UnquotedFields, fieldsOf } from '../../../modules/redis-sync/src/csv/record-fields.ts';
import { RecordScanner } from '../../../modules/redis-sync/src/csv/record-scanner.ts';

export interface ReadRecord {
  readonly line: number;
  readonly fields?: readonly string[];
  readonly bad?: string;
}

export interface ReadOptions {
  readonly delimiter?: string;
  readonly isPair?: boolean;
  readonly maxRecordBytes?: number;
  /** Sizes of the blocks that the bytes come in; the rest comes in one. */
  readonly blocks?: readonly number[];
}

/** Every record of the bytes, however they are cut into blocks. */
export function readRecords(bytes: Buffer, options: ReadOptions = {}): ReadRecord[] {
  const { delimiter = ',', isPair = false, maxRecordBytes = 1024 * 1024, blocks = [] } = options;
  const scanner = new RecordScanner({ delimiter: delimiter.charCodeAt(0), isPair, maxRecordBytes });
  const records: ReadRecord[] = [];
  const unquoted = new UnquotedFields();
  const drain = (): void => {
    for (;;) {
      const found = scanner.next();
      if (found === 'more' || found === 'end') return;
      const { line } = scanner;
      if (found === 'bad') records.push({ line, bad: scanner.malformation });
      else {
        const { block, start, end } = scanner;
        const record =
          found === 'plain' ? scanner : unquoted.take(block, start, end, delimiter.charCodeAt(0));
        records.push({ line, fields: fieldsOf(record).map(String) });
      }
    }
  };
  let at = 0;
  for (const size of blocks) {
    scanner.append(bytes.subarray(at, at + size));
    at += size;
    drain();
  }
  scanner.append(bytes.subarray(at));
  drain();
  scanner.finish();
  drain();
  return records;
}
