import type { JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { BlobContainer, ListedBlob } from '@iotedge-redis/common/blob';
import { codeOf } from '@iotedge-redis/common/blob';
import {
  MANIFEST_ENDING,
  MAX_MANIFEST_BYTES,
  describeSnapshot,
  manifestBlob,
  readManifest,
} from './manifest.ts';
import type { Manifest } from './manifest.ts';

const PAGE = 20;

/** Names of the snapshots of a listing, newest first: of runs, and so of blobs, the names sort by time. */
export function snapshotNames(blobs: readonly ListedBlob[], prefix: string): readonly string[] {
  return blobs
    .filter(({ name }) => name.startsWith(prefix) && name.endsWith(MANIFEST_ENDING))
    .map(({ name }) => name.slice(prefix.length, -MANIFEST_ENDING.length))
    .sort()
    .reverse();
}

/** The manifest of a snapshot, or of the newest one. NOT_FOUND when there is none. */
export async function findSnapshot(
  container: BlobContainer,
  prefix: string,
  wanted: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly manifest: Manifest; readonly blob: string }> {
  const name = wanted ?? snapshotNames(await container.list(prefix, signal), prefix)[0];
  const blob = manifestBlob(prefix, name ?? '');
  const content = name === undefined ? undefined : await container.get(blob, MAX_MANIFEST_BYTES, signal);
  if (content === undefined) {
    throw new SuiteError(
      'NOT_FOUND',
      `looking for a snapshot in ${container.name}: there is ${name === undefined ? 'none' : 'none of that name'} under ${prefix}`,
    );
  }
  return { manifest: readManifest(blob, content), blob };
}

/** `{"continuation": "name"}` goes on behind that snapshot; twenty at a time, newest first. */
export async function listSnapshots(
  container: BlobContainer,
  prefix: string,
  payload: JsonValue,
  signal: AbortSignal,
): Promise<MethodReply> {
  const given = payload === null || payload === '' ? {} : payload;
  if (typeof given !== 'object' || Array.isArray(given)) return reply(400, EXPECTED);
  const { continuation, ...unknown } = given;
  if (Object.keys(unknown).length > 0 || (continuation !== undefined && typeof continuation !== 'string'))
    return reply(400, EXPECTED);
  try {
    const names = snapshotNames(await container.list(prefix, signal), prefix);
    const after = continuation === undefined ? names : names.filter((name) => name < continuation);
    const page = after.slice(0, PAGE);
    const snapshots = await Promise.all(page.map((name) => describe(container, prefix, name, signal)));
    const last = page.at(-1);
    const more = after.length > page.length && last !== undefined ? { continuation: last } : {};
    return reply(200, `${names.length} snapshots`, { snapshots, ...more });
  } catch (error) {
    if (!(error instanceof SuiteError)) throw error;
    return reply(error.retryable ? 503 : 403, error.message, { code: codeOf(error) });
  }
}

async function describe(
  container: BlobContainer,
  prefix: string,
  name: string,
  signal: AbortSignal,
): Promise<JsonObject> {
  const blob = manifestBlob(prefix, name);
  try {
    const content = await container.get(blob, MAX_MANIFEST_BYTES, signal);
    return content === undefined
      ? { snapshot: name, problem: 'deleted meanwhile' }
      : describeSnapshot(readManifest(blob, content));
  } catch (error) {
    if (error instanceof SuiteError && error.code === 'DATA_INVALID')
      return { snapshot: name, problem: error.message };
    throw error;
  }
}

const EXPECTED = 'expected no payload, or {"continuation": "…"} with what the last page said';

function reply(status: number, message: string, more: JsonObject = {}): MethodReply {
  return { status, payload: { ...more, Message: message, Status: status } };
}
