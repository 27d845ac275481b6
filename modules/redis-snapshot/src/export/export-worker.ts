import { SuiteError, placeText } from '@iotedge-redis/common';
import type { Clock, JsonObject, RedisPlace, RedisTarget } from '@iotedge-redis/common';
import type { BlobContainer } from '@iotedge-redis/common/blob';
import {
  MAX_MANIFEST_BYTES,
  describeSnapshot,
  manifestBlob,
  partBlob,
  readManifest,
  writeManifest,
} from '../storage/manifest.ts';
import type { Manifest, SnapshotPart } from '../storage/manifest.ts';
import type { SnapshotSettings } from '../settings.ts';
import type { Work, Worker } from '../work.ts';
import { exportPart } from './export-part.ts';
import { retain } from './retention.ts';
import { openScan } from './scan-source.ts';
import { spoolFolder, sweepSpool } from './spool.ts';
import { openSync } from './sync-source.ts';
import type { Transfer } from './sync-source.ts';
import { findServers } from '../server/topology.ts';

export interface ExportOptions {
  readonly settings: () => SnapshotSettings;
  readonly target: RedisTarget;
  readonly container: BlobContainer;
  readonly instance: string;
  readonly stateDir: string | undefined;
  readonly clock: Clock;
}

/** Exports what the target holds: one file for each server that holds a part of it, then the manifest. */
export function createExportWorker(options: ExportOptions): Worker {
  return (work) => new Export(options, work).run();
}

class Export {
  readonly #options: ExportOptions;
  readonly #work: Work;
  readonly #settings: SnapshotSettings;
  readonly #blob: string;
  #method: Manifest['method'];

  constructor(options: ExportOptions, work: Work) {
    this.#options = options;
    this.#work = work;
    this.#settings = options.settings();
    this.#blob = manifestBlob(this.#settings.snapshotPrefix, work.runId);
    this.#method = this.#settings.exportMethod === 'scan' ? 'scan' : 'sync';
  }

  async run(): Promise<JsonObject> {
    const { container, stateDir, instance, target, clock } = this.#options;
    const { patience, signal, runId, resumes, log } = this.#work;
    const folder = stateDir === undefined ? undefined : spoolFolder(stateDir, instance);
    // Nobody else writes to a name with this run's id.
    const written =
      resumes === 0
        ? undefined
        : await patience.until(() => container.get(this.#blob, MAX_MANIFEST_BYTES, signal));
    if (written !== undefined) return this.#finish(readManifest(this.#blob, written), folder);
    if (folder !== undefined) await sweepSpool(folder, runId);
    const startedAt = clock.now();
    const servers = await patience.until(() => findServers(target, log, signal));
    const parts: SnapshotPart[] = [];
    for (const index of servers.keys()) parts.push(await this.#part(servers, index, folder));
    for (const { blob, unread } of parts) {
      if (unread === undefined) continue;
      log.warn('the snapshot is whole by its checksum, and its keys are not counted', { blob, unread });
    }
    const finishedAt = clock.now();
    const manifest: Manifest = {
      format: 1,
      name: runId,
      runId,
      instance,
      source: placeText(target),
      mode: target.mode,
      method: this.#method,
      pointInTime: this.#method === 'sync',
      startedAt: new Date(startedAt).toISOString(),
      finishedAt: new Date(finishedAt).toISOString(),
      durationMs: finishedAt - startedAt,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      keys: total(parts),
      parts,
    };
    const content = writeManifest(manifest);
    await patience.until(() => container.put(this.#blob, content, 'application/json', signal));
    return this.#finish(manifest, folder);
  }

  #part(servers: readonly RedisPlace[], index: number, folder: string | undefined): Promise<SnapshotPart> {
    const { container, target } = this.#options;
    const { signal, log } = this.#work;
    const { exportSpool, snapshotPrefix } = this.#settings;
    const expected = servers[index];
    return exportPart({
      work: this.#work,
      container,
      blob: partBlob(snapshotPrefix, this.#work.runId, index, servers.length),
      index,
      target,
      findPlace: async () => {
        const now = await findServers(target, log, signal);
        const place = now.length === servers.length ? now[index] : undefined;
        if (place !== undefined) return place;
        throw new SuiteError(
          'CONFLICT',
          'exporting: the cluster has another number of primaries than when the export began; begin a new one',
        );
      },
      openTransfer: (place) => this.#open(place),
      spoolFolder: exportSpool === 'volume' ? folder : undefined,
      onBytes: (received, uploaded) =>
        this.#work.progress({
          file: index + 1,
          files: servers.length,
          ...(expected === undefined ? {} : { server: `${expected.host}:${expected.port}` }),
          receivedBytes: received,
          uploadedBytes: uploaded,
        }),
    });
  }

  async #open(place: RedisPlace): Promise<Transfer> {
    const { target } = this.#options;
    const { signal, log } = this.#work;
    const { exportMethod, exportSkipSyncDelay } = this.#settings;
    const options = { place, target, signal, log, skipDelay: exportSkipSyncDelay, db: target.db };
    if (this.#method === 'scan') return openScan(options);
    try {
      return await openSync(options);
    } catch (error) {
      const isForbidden =
        error instanceof SuiteError && (error.code === 'REDIS_DENIED' || error.code === 'REDIS_ERROR');
      if (!isForbidden || exportMethod !== 'auto') throw error;
      log.warn('the server does not permit SYNC: reading key by key, which is of no single point in time', {
        reason: error.message,
      });
      this.#method = 'scan';
      return openScan(options);
    }
  }

  async #finish(manifest: Manifest, folder: string | undefined): Promise<JsonObject> {
    const { container } = this.#options;
    const { patience, signal, log } = this.#work;
    const { retainSnapshots, snapshotPrefix } = this.#options.settings();
    const [removed] = await Promise.all([
      retainSnapshots === 0
        ? 0
        : retain({ container, prefix: snapshotPrefix, keep: retainSnapshots, patience, signal, log }),
      folder === undefined ? undefined : sweepSpool(folder, undefined),
    ]);
    const [first] = manifest.parts;
    return {
      ...describeSnapshot(manifest),
      container: container.name,
      durationMs: manifest.durationMs,
      sha256: first?.sha256 ?? '',
      forkSeconds: most(manifest.parts.map((part) => part.forkSeconds)),
      copyOnWriteBytes: most(manifest.parts.map((part) => part.copyOnWriteBytes)),
      ...(removed === 0 ? {} : { removedSnapshots: removed }),
    };
  }
}

function total(parts: readonly SnapshotPart[]): number | null {
  let sum = 0;
  for (const { keys } of parts) {
    if (keys === null) return null;
    for (const count of Object.values(keys)) sum += count;
  }
  return sum;
}

function most(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
