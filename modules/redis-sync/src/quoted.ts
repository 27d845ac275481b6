import { parse } from 'csv-parse/sync';

/**
 * Takes well-formed records apart whose extent the scanner has found. Undefined when the library sees them otherwise.
 * Line ends are named, since the library else guesses them from the first one it meets.
 */
export function splitQuoted(records: Buffer, delimiter: string): Buffer[][] | undefined {
  try {
    const rows: unknown = parse(records, {
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      skip_empty_lines: true,
      encoding: null,
    });
    return isTable(rows) ? rows : undefined;
  } catch {
    return undefined;
  }
}

function isTable(rows: unknown): rows is Buffer[][] {
  return (
    Array.isArray(rows) &&
    rows.every((row) => Array.isArray(row) && row.every((cell) => Buffer.isBuffer(cell)))
  );
}
