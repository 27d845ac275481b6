import type { ModuleLog } from './agent/module-log.ts';
import type { EdgeLog, EdgeLogLevel } from './edge-log.ts';

const marks: Readonly<Record<EdgeLogLevel, readonly [number, string]>> = {
  debug: [7, 'DBG'],
  info: [6, 'INF'],
  warn: [4, 'WRN'],
  error: [3, 'ERR'],
};

/** Writes the lines of a part of the local edge as edgeAgent and edgeHub write theirs, and shows the graver ones. */
export function systemLog(
  log: ModuleLog,
  show: (line: string) => void,
  shown: readonly EdgeLogLevel[],
): EdgeLog {
  return (level, message, fields) => {
    const [number, name] = marks[level];
    const time = new Date().toISOString().replace('T', ' ').replace('Z', ' +00:00');
    const more = fields === undefined ? '' : ` ${JSON.stringify(fields, errorsAsText)}`;
    log.write('stdout', `<${number}> ${time} [${name}] ${message}${more}\n`.replaceAll(/\n(?!$)/g, ' '));
    if (shown.includes(level)) show(`${level === 'info' ? '' : `${level}: `}${message}`);
  };
}

function errorsAsText(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
