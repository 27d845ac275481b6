import type { Template } from './template.ts';
import type { TtlRules } from './ttl.ts';

export const VALUE_MODES = ['hash', 'hash-replace', 'string', 'json'] as const;
export type ValueMode = (typeof VALUE_MODES)[number];

export const PAYLOADS = ['updates', 'json', 'event', 'none'] as const;
export type Payload = (typeof PAYLOADS)[number];

/** How records become keys, notices and entries of the change stream: everything an operator may change while it runs. */
export interface Shape {
  readonly key: Template;
  /** For records without a value. */
  readonly tombstoneKey: Template;
  readonly mode: ValueMode;
  readonly nested: 'json' | 'flatten';
  readonly excluded: ReadonlySet<string>;
  readonly index:
    | {
        readonly key: string;
        /** The same as a binary string. */
        readonly keyBytes: string;
        readonly member: Template;
        readonly tombstoneMember: Template;
      }
    | undefined;
  readonly ttl: TtlRules;
  /** Undefined: the channel is the key. */
  readonly channel: Template | undefined;
  readonly payload: Payload;
  readonly suppressUnchanged: boolean;
  /** Entries kept in each change stream; 0 writes none. */
  readonly changesLength: number;
  readonly onError: 'dlq' | 'skip' | 'stop';
  readonly maxRecordBytes: number;
  readonly deadLetterMax: number;
  readonly db: number;
}

export const UPDATED = 'updated';
export const DELETED = 'deleted';
