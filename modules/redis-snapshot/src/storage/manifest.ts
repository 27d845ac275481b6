import { SuiteError } from '@iotedge-redis/common';
import type { JsonObject, JsonValue } from '@iotedge-redis/common';

/** One RDB file of a snapshot: the whole of a server, or of one primary of a cluster. */
export interface SnapshotPart {
  readonly blob: string;
  readonly bytes: number;
  /** Of the whole file, in hex. */
  readonly sha256: string;
  /** `REDIS` or `VALKEY` with the version of the format, as the file's head has it. */
  readonly family: 'redis' | 'valkey';
  readonly rdbVersion: number;
  /** False when the server writes no checksum (rdbchecksum no). Checksum or structure, one was read to the end. */
  readonly isChecksummed: boolean;
  readonly serverVersion: string | null;
  /** Keys by the number of their database; null where they could not be counted. */
  readonly keys: Readonly<Record<string, number>> | null;
  readonly functions: number | null;
  /** What the file holds, and where, that the exporting module did not know: it is whole by its checksum, and not counted. */
  readonly unread?: string;
  /** How long the server stood still for the fork, and what its memory grew by meanwhile; null where INFO is hidden. */
  readonly forkSeconds: number | null;
  readonly copyOnWriteBytes: number | null;
}

/** Says what a snapshot consists of. Written last: what has no manifest is no snapshot. */
export interface Manifest {
  readonly format: 1;
  /** Without prefix and ending. */
  readonly name: string;
  readonly runId: string;
  /** Name of the exporting instance, and where its Redis was. */
  readonly instance: string;
  readonly source: string;
  readonly mode: 'standalone' | 'sentinel' | 'cluster';
  /** `sync`: of one point in time (per server). `scan`: key by key, while writes went on. */
  readonly method: 'sync' | 'scan';
  readonly pointInTime: boolean;
  /** When the export began and ended, ISO 8601. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly durationMs: number;
  readonly bytes: number;
  /** Null where a part's are. */
  readonly keys: number | null;
  readonly parts: readonly SnapshotPart[];
  /** On a copy: where from, and what the service held it against. */
  readonly copy?: {
    readonly from: string;
    readonly at: string;
    readonly verified: 'crc64 of each block' | 'length';
  };
}

export const MANIFEST_ENDING = '.manifest.json';
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

export function manifestBlob(prefix: string, name: string): string {
  return `${prefix}${name}${MANIFEST_ENDING}`;
}

/** A file for each server; of a single server without a number. */
export function partBlob(prefix: string, name: string, index: number, count: number): string {
  return `${prefix}${name}${count === 1 ? '' : `.${index}`}.rdb`;
}

export function writeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Throws DATA_INVALID, naming the blob, when it is none that this version can use. */
export function readManifest(blob: string, content: Buffer): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(content.toString('utf8'));
  } catch {
    value = undefined;
  }
  if (!isManifest(value)) {
    throw new SuiteError(
      'DATA_INVALID',
      `reading the manifest ${blob}: it is not of the form that this version writes; name the RDB file itself by "blob"`,
    );
  }
  return value;
}

function isManifest(value: unknown): value is Manifest {
  return (
    has(value, 'format', (format) => format === 1) &&
    has(value, 'name', isText) &&
    has(value, 'runId', isText) &&
    has(value, 'startedAt', isText) &&
    has(value, 'bytes', isCount) &&
    has(value, 'keys', (keys) => keys === null || isCount(keys)) &&
    has(value, 'parts', (parts) => Array.isArray(parts) && parts.length > 0 && parts.every(isPart))
  );
}

function isPart(value: unknown): boolean {
  return (
    has(value, 'blob', isText) &&
    has(value, 'bytes', isCount) &&
    has(value, 'sha256', (sum) => typeof sum === 'string' && /^[0-9a-f]{64}$/.test(sum)) &&
    has(value, 'rdbVersion', isCount)
  );
}

function has(value: unknown, name: string, test: (field: unknown) => boolean): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.hasOwn(value, name) &&
    test(Reflect.get(value, name))
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** What a caller and the twin are shown of a snapshot. */
export function describeSnapshot(manifest: Manifest): JsonObject {
  const [first] = manifest.parts;
  const described: JsonObject = {
    snapshot: manifest.name,
    startedAt: manifest.startedAt,
    bytes: manifest.bytes,
    keys: manifest.keys,
    files: manifest.parts.length,
    method: manifest.method,
    pointInTime: manifest.pointInTime,
    rdbVersion: first?.rdbVersion ?? 0,
    serverVersion: first?.serverVersion ?? null,
    source: manifest.source,
  };
  const unread = manifest.parts.find((part) => part.unread !== undefined)?.unread;
  const copy: JsonValue | undefined = manifest.copy === undefined ? undefined : { ...manifest.copy };
  return {
    ...described,
    ...(unread === undefined ? {} : { unread }),
    ...(copy === undefined ? {} : { copy }),
  };
}
