export type EdgeLogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where the parts of the local edge write: one line per event, never a value or a secret. */
export type EdgeLog = (
  level: EdgeLogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** For callers that want no log. */
export const noLog: EdgeLog = () => undefined;
