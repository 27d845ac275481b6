import { isRecord } from '../manifest/record.ts';
import type { LogLine } from './module-log.ts';

/** The filter of GetModuleLogs. */
export interface LogFilter {
  readonly tail: number | null;
  readonly since: number | null;
  readonly until: number | null;
  readonly level: number | null;
  readonly regex: RegExp | null;
}

/** A line as edgeAgent's parser sees it. */
export interface ParsedLine {
  readonly stream: LogLine['stream'];
  readonly level: number;
  readonly timestamp: string;
  readonly text: string;
  /** The line as it was written. */
  readonly full: string;
}

/** Reads a filter; a text says what is wrong with it. */
export function readLogFilter(value: unknown, now = Date.now()): LogFilter | string {
  const filter = value ?? {};
  if (!isRecord(filter)) return 'filter must be an object';
  const { tail, loglevel, regex } = filter;
  const since = readTime(filter['since'], now);
  const until = readTime(filter['until'], now);
  if (tail !== undefined && !(Number.isInteger(tail) && Number(tail) >= 0))
    return 'filter.tail must be a whole number';
  if (
    loglevel !== undefined &&
    !(Number.isInteger(loglevel) && Number(loglevel) >= 0 && Number(loglevel) <= 7)
  ) {
    return 'filter.loglevel must be a number from 0 to 7';
  }
  if (since === undefined)
    return 'filter.since must be a time, a number of seconds since 1970 or a span like "2 hours"';
  if (until === undefined)
    return 'filter.until must be a time, a number of seconds since 1970 or a span like "2 hours"';
  let pattern: RegExp | null = null;
  try {
    if (typeof regex === 'string') pattern = new RegExp(regex);
    else if (regex !== undefined) return 'filter.regex must be a text';
  } catch {
    return 'filter.regex must be a regular expression';
  }
  return {
    tail: tail === undefined ? null : Number(tail),
    since,
    until,
    level: loglevel === undefined ? null : Number(loglevel),
    regex: pattern,
  };
}

/** Applies a filter: the level must be equal, not lower (edgeAgent's code, against its documentation); tail comes last. */
export function filterLines(lines: readonly LogLine[], filter: LogFilter): ParsedLine[] {
  const kept = lines.map(parse).filter((line) => {
    const time = Date.parse(line.timestamp);
    if (filter.since !== null && time < filter.since) return false;
    if (filter.until !== null && time > filter.until) return false;
    if (filter.level !== null && line.level !== filter.level) return false;
    return filter.regex === null || filter.regex.test(line.text);
  });
  return filter.tail === null ? kept : kept.slice(Math.max(0, kept.length - filter.tail));
}

function parse(line: LogLine): ParsedLine {
  const match = /^(?:<(\d)>)?\s*(?:\d{4}-\d\d-\d\d\s\d\d:\d\d:\d\d.\d{3}\s[+-]\d\d:\d\d\s)?\s*(.*)$/.exec(
    line.text,
  );
  return {
    stream: line.stream,
    // A line without a level counts as information.
    level: match?.[1] === undefined ? 6 : Number(match[1]),
    timestamp: line.timestamp,
    text: match?.[2] ?? line.text,
    full: line.text,
  };
}

const spans: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  second: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
};

/** RFC 3339, seconds since 1970, or a span before now: `2d 7 hours 30 minutes`. Null when not given, undefined when wrong. */
function readTime(value: unknown, now: number): number | null | undefined {
  if (value === undefined || value === null) return null;
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const time = Date.parse(text);
    return Number.isNaN(time) ? undefined : time;
  }
  if (!/^(?:\d+\s*[a-z]+\s*)+$/i.test(text)) return undefined;
  let span = 0;
  for (const [, count, name = ''] of text.matchAll(/(\d+)\s*([a-z]+)/gi)) {
    const unit = spans[name.toLowerCase()] ?? spans[name.toLowerCase().replace(/s$/, '')];
    if (unit === undefined) return undefined;
    span += Number(count) * unit;
  }
  return now - span;
}
