import { errorText, sleep } from '@iotedge-redis/common';
import type { Log } from '@iotedge-redis/common';
import { BlockUpload, blockBytes } from './block-upload.ts';
import type { BlockUploadOptions } from './block-upload.ts';
import type { SpoolFile } from './spool.ts';

/** An upload that ends so soon behind the file leaves nothing that would have to outlast a restart, and spares the volume the writing. */
const SOON_MS = 1000;

/** Uploads the file while it is being written. Resolves with the ids of its blocks once the service has them all. */
export async function uploadSpool(spool: SpoolFile, options: BlockUploadOptions): Promise<readonly string[]> {
  const upload = new BlockUpload(options);
  let offset = 0;
  for (let index = 0; ; index += 1) {
    const block = await spool.read(offset, blockBytes(index), (bytes) => upload.memory.lend(bytes));
    if (block === undefined) return upload.finish();
    offset += block.length;
    await upload.add(block);
  }
}

/** Waits for the upload of a whole file. One that takes its time, or fails, may go on after a restart, from a file that lasts. */
export async function endOfUpload(
  ids: Promise<readonly string[]>,
  makeLasting: () => Promise<void>,
  log: Log,
): Promise<readonly string[]> {
  const waited = new AbortController();
  const no = (): boolean => false;
  const isSoon = await Promise.race([ids.then(() => true, no), sleep(SOON_MS, waited.signal).then(no, no)]);
  waited.abort();
  if (!isSoon) {
    await makeLasting().catch((error: unknown) => {
      log.warn('the spool file cannot be made to last: after a restart the export begins anew', {
        error: errorText(error),
      });
    });
  }
  return ids;
}
