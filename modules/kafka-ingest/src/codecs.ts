import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { CompressionCodecs, CompressionTypes } from './kafka-library.ts';
import lz4 from 'lz4js';
import { compress, uncompress } from 'snappyjs';

/** Written before each message by the reference implementation's Java library; the length of a block follows. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEAD = 16;

/** What the library hands over to be compressed. */
interface Encoder {
  readonly buffer: Buffer;
}

const toZstd = promisify(zstdCompress);
const fromZstd = promisify(zstdDecompress);

/** Makes the library read topics that are compressed with snappy, lz4 and zstd; it has gzip of its own. */
export function registerCodecs(): void {
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: ({ buffer }: Encoder) => Promise.resolve(compress(buffer)),
    decompress: (buffer: Buffer) => Promise.resolve(fromSnappy(buffer)),
  });
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: ({ buffer }: Encoder) => Promise.resolve(Buffer.from(lz4.compress(buffer))),
    decompress: (buffer: Buffer) => Promise.resolve(Buffer.from(lz4.decompress(buffer))),
  });
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: Encoder) => toZstd(buffer),
    decompress: (buffer: Buffer) => fromZstd(buffer),
  });
}

/** One block, or many with a head before them. */
function fromSnappy(buffer: Buffer): Buffer {
  if (!buffer.subarray(0, XERIAL.length).equals(XERIAL)) return uncompress(buffer);
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEAD; at < buffer.length;) {
    const size = buffer.readUInt32BE(at);
    blocks.push(uncompress(buffer.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}
