import { statfs } from 'node:fs/promises';

/** Room on the volume that is left to others. */
const RESERVE_BYTES = 64 * 1024 * 1024;

/** Bytes that may be written to the volume of a folder. */
export async function roomOn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return Math.max(0, bavail * bsize - RESERVE_BYTES);
}
