import { EventEmitter } from 'node:events';
import { omit } from '../omit.ts';
import { readStateFile, writeStateFile } from '../state-file.ts';
import type { JsonObject, Twin, TwinResult, TwinSection, Twins } from './hub-api.ts';
import { merge, patchForReplacement, stampMetadata, withoutNulls } from './twin-merge.ts';
import {
  edgeHubRules,
  findBreach,
  maxSectionBytes,
  maxTagsBytes,
  serviceRules,
  sizeOf,
  type TwinRules,
} from './twin-rules.ts';

type DesiredListener = (moduleId: string, patch: JsonObject, version: number) => void;
interface TwinEvents {
  desired: Parameters<DesiredListener>;
  reported: Parameters<DesiredListener>;
}

interface SavedTwins {
  readonly twins: readonly Twin[];
}

/** Twins of all modules, in memory and in one state file. Every accepted change is in the file before the call returns. */
export class TwinStore implements Twins {
  readonly #file: string;
  readonly #now: () => number;
  readonly #twins = new Map<string, Twin>();
  readonly #events = new EventEmitter<TwinEvents>();

  constructor(file: string, now: () => number) {
    this.#file = file;
    this.#now = now;
    this.#events.setMaxListeners(0);
    const saved = readStateFile(file) as SavedTwins | undefined;
    for (const twin of saved?.twins ?? []) this.#twins.set(twin.moduleId, twin);
  }

  get(moduleId: string): Twin | undefined {
    return this.#twins.get(moduleId);
  }

  /** A new twin has both sections at `$version` 1 and is itself at version 2. */
  create(moduleId: string): void {
    if (this.#twins.has(moduleId)) return;
    const section: TwinSection = { properties: {}, version: 1, metadata: { $lastUpdated: this.#time() } };
    this.#put({ moduleId, etag: etagOf(1n), version: 2, tags: {}, desired: section, reported: section });
  }

  remove(moduleId: string): void {
    if (this.#twins.delete(moduleId)) this.#save();
  }

  patchDesired(moduleId: string, patch: { desired?: JsonObject; tags?: JsonObject }): TwinResult {
    const twin = this.#twins.get(moduleId);
    if (twin === undefined) return noTwin(moduleId);
    const desired = patch.desired && withoutServiceFields(patch.desired);
    const tags = patch.tags && withoutServiceFields(patch.tags);
    return this.#commit(twin, {
      desired: desired && { patch: desired, result: merge(twin.desired.properties, desired) },
      tags: tags && { patch: tags, result: merge(twin.tags, tags) },
    });
  }

  replaceDesired(moduleId: string, content: { desired?: JsonObject; tags?: JsonObject }): TwinResult {
    const twin = this.#twins.get(moduleId);
    if (twin === undefined) return noTwin(moduleId);
    const desired = content.desired && withoutNulls(withoutServiceFields(content.desired));
    const tags = content.tags && withoutNulls(withoutServiceFields(content.tags));
    return this.#commit(twin, {
      desired: desired && { patch: patchForReplacement(twin.desired.properties, desired), result: desired },
      tags: tags && { patch: tags, result: tags },
    });
  }

  /** edgeHub looks at the incoming patch alone, not at the merged result. */
  patchReported(moduleId: string, patch: JsonObject): TwinResult {
    const twin = this.#twins.get(moduleId);
    if (twin === undefined) return noTwin(moduleId);
    const bytes = Buffer.byteLength(JSON.stringify(patch));
    if (bytes > maxSectionBytes) {
      return refuse(`The reported patch has ${bytes} bytes; ${maxSectionBytes} is the limit.`);
    }
    const breach = findBreach(patch, edgeHubRules);
    if (breach !== undefined) return refuse(breach);
    const reported: TwinSection = {
      properties: merge(twin.reported.properties, patch),
      version: twin.reported.version + 1,
      metadata: stampMetadata(twin.reported.metadata, patch, { time: this.#time() }),
    };
    const next: Twin = { ...twin, version: twin.version + 1, reported };
    this.#put(next);
    this.#events.emit('reported', moduleId, patch, reported.version);
    return { ok: true, twin: next };
  }

  onDesired(listener: DesiredListener): () => void {
    this.#events.on('desired', listener);
    return () => void this.#events.off('desired', listener);
  }

  onReported(listener: DesiredListener): () => void {
    this.#events.on('reported', listener);
    return () => void this.#events.off('reported', listener);
  }

  #commit(twin: Twin, change: { desired: Change | undefined; tags: Change | undefined }): TwinResult {
    const problem =
      checkChange('desired', change.desired, maxSectionBytes, serviceRules) ??
      checkChange('tags', change.tags, maxTagsBytes, serviceRules);
    if (problem !== undefined) return refuse(problem);
    const sections = (change.desired ? 1 : 0) + (change.tags ? 1 : 0);
    let { desired } = twin;
    if (change.desired) {
      const version = desired.version + 1;
      const stamp = { time: this.#time(), version };
      desired = {
        properties: change.desired.result,
        version,
        metadata: stampMetadata(desired.metadata, change.desired.patch, stamp),
      };
    }
    const next: Twin = {
      ...twin,
      etag: sections === 0 ? twin.etag : nextEtag(twin.etag),
      version: twin.version + sections,
      tags: change.tags?.result ?? twin.tags,
      desired,
    };
    this.#put(next);
    if (change.desired) this.#events.emit('desired', twin.moduleId, change.desired.patch, desired.version);
    return { ok: true, twin: next };
  }

  #time(): string {
    return new Date(this.#now()).toISOString();
  }

  #put(twin: Twin): void {
    this.#twins.set(twin.moduleId, twin);
    this.#save();
  }

  #save(): void {
    writeStateFile(this.#file, { twins: [...this.#twins.values()] } satisfies SavedTwins);
  }
}

interface Change {
  readonly patch: JsonObject;
  readonly result: JsonObject;
}

function checkChange(
  name: string,
  change: Change | undefined,
  limit: number,
  rules: TwinRules,
): string | undefined {
  if (change === undefined) return undefined;
  const breach = findBreach(change.patch, rules);
  if (breach !== undefined) return `${name}: ${breach}`;
  const bytes = sizeOf(change.result);
  return bytes > limit ? `${name}: the section would have ${bytes} bytes; ${limit} is the limit.` : undefined;
}

/** Service clients send whole twins back: what only the service writes is ignored. */
function withoutServiceFields(section: JsonObject): JsonObject {
  return omit(section, '$version', '$metadata');
}

/** base64 of an 8-byte big-endian counter. */
function etagOf(counter: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(counter);
  return bytes.toString('base64');
}

function nextEtag(etag: string): string {
  return etagOf(Buffer.from(etag, 'base64').readBigUInt64BE() + 1n);
}

function refuse(problem: string): TwinResult {
  return { ok: false, problem };
}

function noTwin(moduleId: string): TwinResult {
  return refuse(`There is no module "${moduleId}".`);
}
