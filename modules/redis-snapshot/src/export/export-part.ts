import { join } from 'node:path';
import { SuiteError, formatPlace } from '@iotedge-redis/common';
import type { RedisPlace } from '@iotedge-redis/common';
import type { BlobContainer } from '@iotedge-redis/common/blob';
import type { SnapshotPart } from '../storage/manifest.ts';
import type { Work } from '../work.ts';
import { watchFork } from './fork-watch.ts';
import type { ForkCost } from './fork-watch.ts';
import { receive } from './receive.ts';
import type { ReceivedFacts } from './receive.ts';
import type { LinkTarget } from '../server/server-link.ts';
import { SpoolFile } from './spool.ts';
import { endOfUpload, uploadSpool } from './spool-upload.ts';
import { StreamedUpload } from './streamed-upload.ts';
import type { Transfer } from './sync-source.ts';

export interface PartOptions {
  readonly work: Work;
  readonly container: BlobContainer;
  readonly blob: string;
  /** Which of the run's files it is. */
  readonly index: number;
  readonly target: LinkTarget;
  /** Finds the server anew for each attempt: another one may hold the data by then. */
  readonly findPlace: () => Promise<RedisPlace>;
  readonly openTransfer: (place: RedisPlace) => Promise<Transfer>;
  /** Folder of spool files; undefined streams. */
  readonly spoolFolder: string | undefined;
  readonly onBytes: (received: number, uploaded: number) => void;
}

/** A wrong file is taken again so often: a broken network is rarer than a broken server, but heals. */
const MAX_WRONG = 3;

/** Takes a file that comes piece by piece. */
interface PieceSink {
  write(pieces: readonly Buffer[]): Promise<void>;
  /** The file was right to its last byte. */
  end(): Promise<void>;
}

/** A file that was right, and what it cost its server, which may tell that a little later. */
interface Received {
  readonly facts: ReceivedFacts;
  readonly cost: Promise<ForkCost>;
}

interface Spooled extends Received {
  readonly spool: SpoolFile;
  readonly ids: Promise<readonly string[]>;
}

interface Staged extends Received {
  readonly ids: readonly string[];
}

/** Takes one server's file to one blob. The blob is there only when the file was right to its last byte. */
export async function exportPart(options: PartOptions): Promise<SnapshotPart> {
  const { work, container, blob } = options;
  const staged = options.spoolFolder === undefined ? await streamed(options) : await spooled(options);
  const { facts, ids, cost } = staged;
  const { patience, signal, runId } = work;
  const metadata = {
    runid: runId,
    sha256: facts.sha256,
    bytes: String(facts.bytes),
    rdbversion: String(facts.rdbVersion),
    serverversion: facts.serverVersion ?? '',
    keys: JSON.stringify(facts.keys),
  };
  await patience.until(() => container.commit(blob, ids, { metadata }, signal));
  const stored = await patience.until(() => container.head(blob, signal));
  if (stored?.length !== facts.bytes) {
    throw new SuiteError(
      'DATA_INVALID',
      `committing ${container.name}/${blob}: the service has ${stored?.length ?? 0} bytes and ${facts.bytes} were sent; something else writes to this name`,
    );
  }
  return { blob, ...facts, ...(await cost) };
}

/** One attempt to take the file, counted when the file is wrong. */
function counted<T>(attempt: () => Promise<T>): () => Promise<T> {
  let wrong = 0;
  return async () => {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof SuiteError) || error.code !== 'DATA_INVALID') throw error;
      wrong += 1;
      if (wrong < MAX_WRONG) throw error;
      throw new SuiteError('DATA_INVALID', `${error.message} (${wrong} times)`, { cause: error });
    }
  };
}

/** Opens the transfer, hands it on, and closes it, with the server watched meanwhile. */
async function take(
  options: PartOptions,
  prepare: (boundBytes: number | undefined) => Promise<PieceSink>,
): Promise<Received> {
  const { work, target } = options;
  const { signal, log } = work;
  const place = await options.findPlace();
  const watch = await watchFork({ place, target, signal, log });
  try {
    const transfer = await options.openTransfer(place);
    try {
      const sink = await prepare(transfer.expectedBytes ?? watch.boundBytes);
      const facts = await receive(transfer, (pieces) => sink.write(pieces), formatPlace(place));
      await sink.end();
      return { facts, cost: watch.end() };
    } finally {
      transfer.close();
    }
  } catch (error) {
    await watch.end();
    throw error;
  }
}

async function spooled(options: PartOptions): Promise<Staged> {
  const { work, index, spoolFolder = '', onBytes } = options;
  const path = join(spoolFolder, `${work.runId}-${index}.rdb`);
  let received = 0;
  let uploaded = 0;
  const upload = (spool: SpoolFile, signal = work.signal): Promise<readonly string[]> => {
    uploaded = 0;
    const onUploaded = (bytes: number): void => {
      uploaded += bytes;
      onBytes(received, uploaded);
    };
    const { container, blob } = options;
    const ids = uploadSpool(spool, { container, blob, patience: work.patience, signal, onUploaded });
    // Whoever awaits it hears of the failure; until then it must not count as unhandled.
    ids.catch(() => undefined);
    return ids;
  };
  const kept = await SpoolFile.reopen(path);
  if (kept?.facts !== undefined) {
    received = kept.facts.bytes;
    try {
      const { forkSeconds, copyOnWriteBytes, ...facts } = kept.facts;
      const cost = Promise.resolve({ forkSeconds, copyOnWriteBytes });
      return { facts, cost, ids: await upload(kept) };
    } finally {
      await kept.close();
    }
  }
  const taken = await work.patience.until(
    counted(async (): Promise<Spooled> => {
      const open: { spool?: SpoolFile; ids?: Promise<readonly string[]> } = {};
      const givenUp = new AbortController();
      received = 0;
      try {
        const took = await take(options, async (boundBytes) => {
          const spool = (open.spool = await SpoolFile.create(path, boundBytes));
          open.ids = upload(spool, AbortSignal.any([work.signal, givenUp.signal]));
          return {
            async write(pieces) {
              received += pieces.reduce((sum, { length }) => sum + length, 0);
              onBytes(received, uploaded);
              await spool.write(pieces);
            },
            end: () => spool.finish(),
          };
        });
        const { spool, ids } = open;
        if (spool === undefined || ids === undefined)
          throw new SuiteError('INTERNAL', 'spooling the snapshot: nothing was received');
        return { spool, ids, ...took };
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error));
        givenUp.abort();
        open.spool?.fail(failure);
        await open.ids?.catch(() => undefined);
        await open.spool?.close();
        throw error;
      }
    }),
  );
  try {
    const { spool, facts, cost, ids } = taken;
    const makeLasting = async (): Promise<void> => spool.makeLasting({ ...facts, ...(await cost) });
    return { facts, cost, ids: await endOfUpload(ids, makeLasting, work.log) };
  } finally {
    await taken.spool.close();
  }
}

async function streamed(options: PartOptions): Promise<Staged> {
  const { container, blob, work, onBytes } = options;
  const { patience } = work;
  return patience.until(
    counted(async () => {
      const givenUp = new AbortController();
      const signal = AbortSignal.any([work.signal, givenUp.signal]);
      let received = 0;
      let uploaded = 0;
      const onUploaded = (bytes: number): void => {
        uploaded += bytes;
        onBytes(received, uploaded);
      };
      const upload = new StreamedUpload({ container, blob, patience, signal, onUploaded });
      try {
        const took = await take(options, () =>
          Promise.resolve({
            async write(pieces: readonly Buffer[]) {
              received += pieces.reduce((sum, { length }) => sum + length, 0);
              onBytes(received, uploaded);
              await upload.write(pieces);
            },
            end: () => Promise.resolve(),
          }),
        );
        return { ...took, ids: await upload.finish() };
      } catch (error) {
        givenUp.abort();
        throw error;
      }
    }),
  );
}
