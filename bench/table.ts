import type { Row } from './harness.ts';

/** The rows as a table for a terminal. */
export function table(rows: readonly Row[]): string {
  const baselines = [...new Set(rows.flatMap((r) => Object.keys(r.ratios)))];
  const head = [
    'what',
    'median',
    'min',
    'max',
    'unit',
    ...baselines.map((b) => `ratio to ${b}`),
    'peak RSS MB',
    'CPU s',
  ];
  const body = rows.map((r) => [
    r.name,
    number(r.median),
    number(r.min),
    number(r.max),
    r.unit,
    ...baselines.map((b) => (r.ratios[b] === undefined ? '' : r.ratios[b].toFixed(2))),
    r.rssMB === null ? '' : String(r.rssMB),
    r.cpuSeconds === null ? '' : String(r.cpuSeconds),
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...body.map((cells) => (cells[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '?';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
