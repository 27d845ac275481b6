/** Why a record cannot be taken apart into fields. */
export type Malformation =
  | 'quote in mid-field'
  | 'text after a closing quote'
  | 'quote not closed'
  | 'longer than maxRecordBytes'
  | 'not UTF-8';

/**
 * One good row: what becomes of one key, whatever was there before. Key and value are stretches of `data`.
 */
export interface Row {
  readonly op: 'set' | 'hash' | 'del';
  readonly line: number;
  readonly data: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Seconds from the run's start; 0 keeps the key for ever. */
  readonly ttlSeconds: number;
  /** Names and values in turn, of a hash. */
  readonly fields: readonly Buffer[] | undefined;
}

/** One bad row: where it is and what is wrong, never what is in it. */
export interface Reject {
  readonly line: number;
  readonly reason: string;
}

export type ValueType = 'string' | 'hash' | 'json';
