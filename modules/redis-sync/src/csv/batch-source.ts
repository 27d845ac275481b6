import type { BlobFacts, BlobSource, Patience } from '@iotedge-redis/common/blob';
import { readBlocks } from '@iotedge-redis/common/blob';
import type { Checkpoint } from '../run/checkpoint.ts';
import { CsvReader } from './csv-reader.ts';
import type { Batch } from './csv-reader.ts';
import type { Format } from './format.ts';
import { RunEnded } from '../run/run-ended.ts';
import type { SyncSettings } from '../settings.ts';

export interface BatchSourceOptions {
  readonly settings: SyncSettings;
  readonly facts: BlobFacts;
  readonly source: BlobSource;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** Where to begin. */
  readonly from: Pick<Checkpoint, 'format' | 'offset' | 'line'>;
}

export interface ReadBatch {
  readonly batch: Batch;
  readonly format: Format | undefined;
}

const BATCH_BYTES = 1024 * 1024;

/**
 * The blob as batches of rows, in file order, as many at once as a block of it holds: an asynchronous step for each would cost
 * as much as its rows. A batch has to be taken before the next one is asked for. Ends with RunEnded when it cannot be read as a table. */
export async function* readBatches(options: BatchSourceOptions): AsyncGenerator<Iterable<ReadBatch>> {
  const { settings, facts, source, patience, from } = options;
  const { format, offset, line } = from;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const reader = new CsvReader({
    ...settings,
    batchBytes: BATCH_BYTES,
    ...(format === undefined ? {} : { resume: { format, offset, line } }),
  });
  const isGzip =
    (settings.blobFileName ?? '').toLowerCase().endsWith('.gz') ||
    facts.contentEncoding?.toLowerCase() === 'gzip';
  const blocks = readBlocks({
    facts,
    offset: format === undefined ? 0 : offset,
    isGzip,
    name: source.name,
    signal,
    // The reader copies what it needs.
    isTransient: true,
    fetch: (range) => patience.until(() => source.fill(range, signal)),
  });
  try {
    for await (const block of blocks) {
      refuse(reader.append(block));
      yield batchesOf(reader);
    }
    refuse(reader.finish());
    yield batchesOf(reader);
  } finally {
    // The range that is fetched ahead is of no use any more.
    stop.abort();
  }
}

function* batchesOf(reader: CsvReader): Iterable<ReadBatch> {
  for (let batch = reader.take(); batch !== undefined; batch = reader.take()) {
    yield { batch, format: reader.format };
  }
}

function refuse(result: { readonly problem: string } | undefined): void {
  if (result !== undefined) throw new RunEnded('FORMAT_REFUSED', result.problem);
}
