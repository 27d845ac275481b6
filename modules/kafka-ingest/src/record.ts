/** One record of a Kafka partition; the shape is the client library's, so that none has to be copied. */
export interface KafkaRecord {
  readonly offset: string;
  /** Milliseconds since 1970, by the producer or the broker, as the topic says. */
  readonly timestamp: string;
  readonly key: Buffer | null;
  /** Null is a tombstone: the key is to be deleted. */
  readonly value: Buffer | null;
  readonly headers?: RecordHeaders | undefined;
  /** Why nothing can be had of it, when that is known from the start. */
  readonly fault?: RecordFault;
}

/** A header may have a name and no value. */
type HeaderValue = Buffer | string | null;

export type RecordHeaders = Readonly<Record<string, HeaderValue | readonly HeaderValue[] | undefined>>;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** What one fetch brought of one partition. It stands for every offset from `from` to `end`, also those that hold no record. */
export interface FetchedBatch extends TopicPartition {
  /** Offset that was asked for. */
  readonly from: number;
  readonly records: readonly KafkaRecord[];
  /** First offset after the batch. */
  readonly end: number;
  /** First offset after the last record of the partition. */
  readonly high: number;
}

/** Why a record cannot be stored, whatever is tried. */
export interface RecordFault {
  readonly code: FaultCode;
  /** A sentence; never a value. */
  readonly reason: string;
}

export const FAULT_CODES = [
  'BAD_JSON',
  'NO_KEY',
  'BAD_VALUE',
  'BAD_TTL',
  'BAD_BATCH',
  'TOO_LARGE',
  'WRONG_TYPE',
  'REFUSED',
] as const;

export type FaultCode = (typeof FAULT_CODES)[number];

/** The last value of a header, as text; undefined when it is not there. */
export function headerText(headers: RecordHeaders | undefined, name: string): string | undefined {
  const given = headers !== undefined && Object.hasOwn(headers, name) ? headers[name] : undefined;
  const value = isList(given) ? given.at(-1) : given;
  return value?.toString();
}

function isList(value: RecordHeaders[string]): value is readonly HeaderValue[] {
  return Array.isArray(value);
}
