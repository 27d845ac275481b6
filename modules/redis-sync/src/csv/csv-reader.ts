import type { Format, FormatSettings } from './format.ts';
import { DELIMITERS, detectFormat, isSampleEnough } from './format.ts';
import { UnquotedFields, fieldsOf } from './record-fields.ts';
import type { RecordFields } from './record-fields.ts';
import { RecordScanner } from './record-scanner.ts';
import type { Reject } from '../rows/row.ts';
import { RowList } from '../rows/row-list.ts';
import type { RowDefaults, RowMapper } from '../rows/row-mapping.ts';
import { createRowMapper } from '../rows/row-mapping.ts';

/** A stretch of the file that ends at a record boundary. */
export interface Batch {
  /** Good rows in file order. */
  readonly rows: RowList;
  readonly rejects: readonly Reject[];
  /** Offset in the decoded file behind the batch, and the number of the line there. */
  readonly offset: number;
  readonly nextLine: number;
  /** Gives the memory of the rows back, which nobody may look at from then on. */
  release(): void;
}

export interface ReaderPosition {
  readonly offset: number;
  readonly line: number;
  readonly format: Format;
}

export interface ReaderOptions extends FormatSettings, RowDefaults {
  readonly batchRows: number;
  readonly batchBytes: number;
  /** Where an interrupted run goes on. */
  readonly resume?: ReaderPosition;
}

/** The file cannot be read at all; the text says what to do. */
export interface FormatProblem {
  readonly problem: string;
}

const MAX_SAMPLE_BYTES = 1024 * 1024;

/** Bytes in, batches of rows out. Pull `take` until it gives nothing, then append the next block. */
export class CsvReader {
  readonly #options: ReaderOptions;
  #format: Format | undefined;
  #scanner: RecordScanner | undefined;
  #map: RowMapper = () => ({ reason: 'no format' });
  /** Rows of two fields are strings without time to live. */
  #hasPairs = false;
  #sample: Buffer[] = [];
  #sampleBytes = 0;
  /** A sample that did not hold one record yet is looked at again when it is twice as long. */
  #detectFrom = 0;
  #finished = false;
  #rows = new RowList();
  readonly #spares: RowList[] = [];
  #rejects: Reject[] = [];
  #bytes = 0;
  readonly #unquoted = new UnquotedFields();
  #delimiter = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    if (options.resume !== undefined) {
      const { format, offset, line } = options.resume;
      this.#open(format, offset, line);
    }
  }

  /** Undefined until the file has shown it. */
  get format(): Format | undefined {
    return this.#format;
  }

  /** Keeps nothing of the block itself. */
  append(block: Buffer): FormatProblem | undefined {
    if (this.#scanner !== undefined) {
      this.#scanner.append(block);
      return undefined;
    }
    this.#sample.push(Buffer.from(block));
    this.#sampleBytes += block.length;
    return this.#detect();
  }

  finish(): FormatProblem | undefined {
    this.#finished = true;
    const problem = this.#detect();
    this.#scanner?.finish();
    return problem;
  }

  /** The next full batch; after `finish` also the last one, which may be short. */
  take(): Batch | undefined {
    const scanner = this.#scanner;
    if (scanner === undefined) return undefined;
    const { batchRows, batchBytes } = this.#options;
    for (;;) {
      const count = this.#rows.length + this.#rejects.length;
      if ((count >= batchRows || this.#bytes >= batchBytes) && scanner.isAtBoundary)
        return this.#close(scanner);
      if (this.#hasPairs) {
        const taken = scanner.takePairs(
          { rows: batchRows - count, bytes: batchBytes - this.#bytes },
          this.#rows,
        );
        this.#bytes += taken;
        if (taken > 0) continue;
      }
      const found = scanner.next();
      switch (found) {
        case 'plain':
          this.#bytes += scanner.end - scanner.start;
          this.#record(scanner, scanner.line);
          break;
        case 'quoted':
          this.#bytes += scanner.end - scanner.start;
          this.#record(
            this.#unquoted.take(scanner.block, scanner.start, scanner.end, this.#delimiter),
            scanner.line,
          );
          break;
        case 'bad':
          this.#rejects.push({ line: scanner.line, reason: scanner.malformation });
          break;
        case 'more':
          return undefined;
        case 'end':
          return this.#rows.length + this.#rejects.length > 0 ? this.#close(scanner) : undefined;
      }
    }
  }

  #detect(): FormatProblem | undefined {
    if (this.#scanner !== undefined) return undefined;
    const isWorthALook =
      this.#sampleBytes >= this.#detectFrom || this.#sampleBytes > this.#options.maxRecordBytes;
    if (!isWorthALook && !this.#finished) return undefined;
    const sample = this.#sample.length === 1 ? this.#sample[0] : Buffer.concat(this.#sample);
    if (sample === undefined) return undefined;
    const encoding = byteOrderMark(sample);
    if (encoding === 'UTF-16') {
      return { problem: 'the file is UTF-16; save it as UTF-8' };
    }
    const isEnough = this.#sampleBytes >= MAX_SAMPLE_BYTES || isSampleEnough(sample);
    this.#sample = [sample];
    if (!isEnough && !this.#finished) return undefined;
    const skip = encoding === 'UTF-8' ? 3 : 0;
    const text = sample.subarray(skip);
    const result = detectFormat(text, this.#finished, this.#options);
    if (result === undefined) {
      this.#detectFrom = this.#sampleBytes * 2;
      // No record in it yet: only blank lines, or the beginning of a very long one.
      if (!this.#finished && this.#sampleBytes <= this.#options.maxRecordBytes) return undefined;
      if (this.#finished) return undefined;
      return { problem: 'the first record is longer than maxRecordBytes; set csvDelimiter' };
    }
    if ('problem' in result) return result;
    const scanner = this.#open(result.format, skip, 1);
    scanner.append(text);
    this.#sample = [];
    if (result.format.hasHeader) this.#skipHeader(scanner);
    return undefined;
  }

  #skipHeader(scanner: RecordScanner): void {
    scanner.next();
  }

  #open(format: Format, offset: number, line: number): RecordScanner {
    const { maxRecordBytes, valueType, ttlSeconds } = this.#options;
    this.#format = format;
    this.#map = createRowMapper(format, this.#options);
    const isWidthRight = !format.hasHeader || format.columns.length === 2;
    this.#hasPairs =
      format.columns[0] === 'key' &&
      format.columns[1] === 'value' &&
      isWidthRight &&
      valueType === 'string' &&
      ttlSeconds === 0;
    this.#delimiter = DELIMITERS[format.delimiter].charCodeAt(0);
    const scanner = new RecordScanner({
      delimiter: this.#delimiter,
      isPair: format.delimiter === 'colon',
      maxRecordBytes,
      offset,
      line,
    });
    this.#scanner = scanner;
    return scanner;
  }

  #record(record: RecordFields, line: number): void {
    const { view, ends, start } = record;
    const keyEnd = ends.at(0);
    if (this.#hasPairs && ends.count === 2 && keyEnd > start) {
      this.#rows.addPlain(view, start, keyEnd, ends.at(1), line);
      return;
    }
    const mapped = this.#map(fieldsOf(record), line);
    if ('reason' in mapped) this.#rejects.push({ line, reason: mapped.reason });
    else this.#rows.add(mapped);
  }

  #close(scanner: RecordScanner): Batch {
    const rows = this.#rows;
    const batch: Batch = {
      rows,
      rejects: this.#rejects,
      offset: scanner.offset,
      nextLine: scanner.nextLine,
      release: () => {
        rows.clear();
        this.#spares.push(rows);
      },
    };
    this.#rows = this.#spares.pop() ?? new RowList();
    this.#rejects = [];
    this.#bytes = 0;
    return batch;
  }
}

function byteOrderMark(bytes: Buffer): 'UTF-8' | 'UTF-16' | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'UTF-8';
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  return isUtf16 ? 'UTF-16' : undefined;
}
