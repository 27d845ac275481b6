const ID = /^(\d{8})-([0-9a-f]{16})$/;

/**
 * Ids of a blob's blocks all have one length. Place and checksum (the storage service's CRC64) are in them, so that a staged
 * block is known again without reading it, and a copy can have each block held against its checksum.
 */
export function blockId(index: number, crc: Buffer): string {
  return Buffer.from(`${String(index).padStart(8, '0')}-${crc.toString('hex')}`).toString('base64');
}

/** The checksum; undefined for a block that something else has uploaded. */
export function crcOf(id: string): Buffer | undefined {
  const hex = ID.exec(Buffer.from(id, 'base64').toString('latin1'))?.[2];
  return hex === undefined ? undefined : Buffer.from(hex, 'hex');
}
