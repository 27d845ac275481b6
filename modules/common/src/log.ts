import pino from 'pino';
import { errorText, SuiteError } from './errors.ts';
import { isSecretName, REDACTED, redactText } from './redact.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * One event is one line: a constant message, and what varies in the fields. Fields whose name says secret, and secrets
 * inside of texts, are masked; a caller still never hands over a value from Redis.
 */
export interface Log {
  /** Changes at run time, for this log and all its children. */
  level: LogLevel;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  fatal(message: string, fields?: LogFields): void;
  /** A log whose lines carry `part`, one per component. */
  child(part: string): Log;
}

/** Severities as edgeAgent reads them from `<n>`; its log filter compares for equality. */
const SEVERITY: Readonly<Record<LogLevel, readonly [number, string]>> = {
  debug: [7, 'DBG'],
  info: [6, 'INF'],
  warn: [4, 'WRN'],
  error: [3, 'ERR'],
  fatal: [0, 'FTL'],
};

const MAX_TEXT = 4096;
/** Docker's log drivers cut a longer line in two, and the second half would be a record of its own. */
const MAX_LINE_BYTES = 15 * 1024;
const MAX_DEPTH = 6;

function clean(value: unknown, name: string, depth: number): unknown {
  if (value === undefined || value === null) return value;
  if (isSecretName(name)) return REDACTED;
  if (typeof value === 'string') {
    return redactText(value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value);
  }
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Error) {
    return clean(
      {
        message: value.message,
        ...('code' in value ? { code: value.code } : {}),
        ...(value.cause === undefined ? {} : { cause: errorText(value.cause) }),
      },
      name,
      depth,
    );
  }
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.map((item) => clean(item, name, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, clean(inner, key, depth + 1)]));
}

/** A second line would reach edgeAgent as a record of its own, at level 6. */
function oneLine(message: string): string {
  return message
    .replaceAll('\r', '\\r')
    .replaceAll('\n', '\\n')
    .replace(/[\0-\x1f\x7f\u2028\u2029]/g, ' '); // eslint-disable-line no-control-regex -- they are what goes
}

interface PinoLine {
  level: LogLevel;
  time: string;
  msg: string;
  fields?: Record<string, unknown>;
  part?: string;
}

/** `<6> 2026-01-31 12:00:00.000 +00:00 [INF] message {"field":1}`: the shape that edgeAgent parses into level, time, text. */
function format(json: string): string {
  const line = JSON.parse(json) as PinoLine;
  const [severity, tag] = SEVERITY[line.level];
  const stamp = line.time.replace('T', ' ').replace('Z', ' +00:00');
  const fields = { ...(line.part === undefined ? {} : { part: line.part }), ...line.fields };
  const tail =
    Object.keys(fields).length > 0
      ? ` ${JSON.stringify(fields).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')}`
      : '';
  return `${fit(`<${severity}> ${stamp} [${tag}] ${line.msg}${tail}`)}\n`;
}

function fit(line: string): string {
  // A character of a string takes three bytes at most.
  if (line.length * 3 <= MAX_LINE_BYTES || Buffer.byteLength(line) <= MAX_LINE_BYTES) return line;
  const kept = Buffer.from(line).subarray(0, MAX_LINE_BYTES).toString();
  return `${kept.replace(/\uFFFD+$/, '')}…`;
}

export interface LogOptions {
  readonly level?: LogLevel;
  /** Instead of a file descriptor. */
  readonly write?: (line: string) => void;
  /** 1 (the default) or 2; written at once, so that a crash loses no line. */
  readonly descriptor?: 1 | 2;
  readonly now?: () => number;
}

export function createLog({ level = 'info', write, descriptor = 1, now = Date.now }: LogOptions = {}): Log {
  const sink = write ?? descriptorWriter(descriptor);
  const root = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (json: string) => sink(format(json)) },
  );

  const make = (part: string | undefined): Log => {
    const emit = (at: LogLevel, message: string, fields?: LogFields): void => {
      if (!root.isLevelEnabled(at)) return;
      root[at](
        { ...(part === undefined ? {} : { part }), ...(fields ? { fields: clean(fields, '', 0) } : {}) },
        oneLine(redactText(message)),
      );
    };
    return {
      get level(): LogLevel {
        return parseLevel(root.level);
      },
      set level(next: LogLevel) {
        root.level = next;
      },
      debug: (message, fields) => emit('debug', message, fields),
      info: (message, fields) => emit('info', message, fields),
      warn: (message, fields) => emit('warn', message, fields),
      error: (message, fields) => emit('error', message, fields),
      fatal: (message, fields) => emit('fatal', message, fields),
      child: (name) => make(part === undefined ? name : `${part}/${name}`),
    };
  };
  return make(undefined);
}

function parseLevel(given: string): LogLevel {
  const found = LOG_LEVELS.find((known) => known === given);
  if (!found) throw new SuiteError('INTERNAL', 'reading the log level: not one of ours');
  return found;
}

function descriptorWriter(fd: number): (line: string) => void {
  const stream = pino.destination({ fd, sync: true });
  // A reader of our output that went away must not end the module.
  stream.on('error', () => undefined);
  return (line) => void stream.write(line);
}
