import type { Format, FormatSettings } from './format.ts';
import { DELIMITERS, detectFormat, isSampleEnough, plainFields } from './format.ts';
import { splitQuoted } from './quoted.ts';
import { RecordScanner } from './record-scanner.ts';
import type { Reject } from './row.ts';
import { RowList } from './row-list.ts';
import type { MappedRow, RowDefaults, RowMapper } from './row-mapping.ts';
import { createRowMapper, setRow } from './row-mapping.ts';

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

/** How many plain records between two quoted ones still go to csv-parse, whose calls are dear and whose records are cheap. */
const MAX_GAP = 2;
const MAX_SAMPLE_BYTES = 1024 * 1024;

interface QuotedRun {
  readonly start: number;
  end: number;
  readonly lines: number[];
  gap: number;
}

/** Bytes in, batches of rows out. Pull `take` until it gives nothing, then append the next block. */
export class CsvReader {
  readonly #options: ReaderOptions;
  #format: Format | undefined;
  #scanner: RecordScanner | undefined;
  #map: RowMapper = () => ({ reason: 'no format' });
  #isSimple = false;
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
  /** Neighbouring records for csv-parse: where they lie in the scanner's block, and their lines. */
  #run: QuotedRun | undefined;

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
      const waiting = this.#run?.lines.length ?? 0;
      const count = this.#rows.length + this.#rejects.length + waiting;
      if ((count >= batchRows || this.#bytes >= batchBytes) && scanner.isAtBoundary)
        return this.#close(scanner);
      if (this.#hasPairs && this.#run === undefined) {
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
          if (this.#run !== undefined) this.#extend(scanner, this.#run, true);
          else this.#plain(scanner);
          break;
        case 'quoted':
          this.#bytes += scanner.end - scanner.start;
          if (this.#run !== undefined) this.#extend(scanner, this.#run, false);
          else this.#run = { start: scanner.start, end: scanner.end, lines: [scanner.line], gap: 0 };
          break;
        case 'bad':
          this.#flushRun(scanner);
          this.#rejects.push({ line: scanner.line, reason: scanner.malformation });
          break;
        case 'more':
          // The block goes away; what lies in it must be taken apart now.
          this.#flushRun(scanner);
          return undefined;
        case 'end':
          this.#flushRun(scanner);
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
    const { maxRecordBytes, valueType } = this.#options;
    this.#format = format;
    this.#map = createRowMapper(format, this.#options);
    const isPlainPair = format.columns[0] === 'key' && format.columns[1] === 'value';
    this.#isSimple = isPlainPair && valueType === 'string';
    const isWidthRight = !format.hasHeader || format.columns.length === 2;
    this.#hasPairs = this.#isSimple && isWidthRight && this.#options.ttlSeconds === 0;
    const scanner = new RecordScanner({
      delimiter: DELIMITERS[format.delimiter].charCodeAt(0),
      isPair: format.delimiter === 'colon',
      maxRecordBytes,
      offset,
      line,
    });
    this.#scanner = scanner;
    return scanner;
  }

  #plain(scanner: RecordScanner): void {
    const { fieldEnds, start, end } = scanner;
    const keyEnd = fieldEnds[0] ?? start;
    const isWidthRight =
      scanner.fieldCount === 2 && (this.#format?.hasHeader !== true || this.#format.columns.length === 2);
    if (!this.#isSimple || !isWidthRight || keyEnd === start) {
      this.#keep(this.#map(plainFields(scanner), scanner.line), scanner.line);
      return;
    }
    const { block: data, line } = scanner;
    const { ttlSeconds } = this.#options;
    if (ttlSeconds === 0) this.#rows.addPlain(data, start, keyEnd, end, line);
    else {
      const key = data.subarray(start, keyEnd);
      this.#rows.add(setRow(line, key, data.subarray(keyEnd + 1, end), ttlSeconds));
    }
  }

  #keep(mapped: MappedRow, line: number): void {
    if ('reason' in mapped) this.#rejects.push({ line, reason: mapped.reason });
    else this.#rows.add(mapped);
  }

  #extend(scanner: RecordScanner, run: QuotedRun, isPlain: boolean): void {
    run.end = scanner.end;
    run.lines.push(scanner.line);
    run.gap = isPlain ? run.gap + 1 : 0;
    if (run.gap > MAX_GAP) this.#flushRun(scanner);
  }

  #flushRun(scanner: RecordScanner): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    const delimiter = DELIMITERS[this.#format?.delimiter ?? 'comma'];
    const table = splitQuoted(scanner.block.subarray(run.start, run.end), delimiter);
    run.lines.forEach((line, index) => {
      const fields = table?.length === run.lines.length ? table[index] : undefined;
      this.#keep(fields === undefined ? { reason: 'not readable as CSV' } : this.#map(fields, line), line);
    });
  }

  #close(scanner: RecordScanner): Batch {
    this.#flushRun(scanner);
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
