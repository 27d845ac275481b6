/** Every code of an error of the local edge; decide by code, never by message text. */
export type EdgeErrorCode =
  | 'INVALID_CONFIGURATION'
  | 'NOT_FOUND'
  | 'NOT_RUNNING'
  | 'USAGE'
  | 'INVALID_INPUT'
  | 'REFUSED'
  | 'PORT_IN_USE'
  | 'NOT_EMULATED'
  | 'SERVICE_MISSING'
  | 'STATE_INVALID'
  | 'INTERNAL';

/** The error class of the local edge. The message names the thing, its place and what to do; never a secret or a value. */
export class EdgeError extends Error {
  readonly code: EdgeErrorCode;

  constructor(code: EdgeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EdgeError';
    this.code = code;
  }
}
