import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { uncompress } from 'snappyjs';
import { SuiteError } from '@iotedge-redis/common';
import { CompressionCodecs, CompressionTypes } from './kafka-library.ts';
import { unpackLz4 } from './lz4.ts';

/** Written before each message by the Java library; the length of a block follows. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEAD = 16;

interface Codec {
  compress(): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

/** Makes the library read topics that are compressed with snappy, lz4 and zstd; it has gzip of its own. */
export function registerCodecs(): void {
  const zstd = promisify(zstdDecompress);
  CompressionCodecs[CompressionTypes.Snappy] = () => reader((buffer) => fromSnappy(buffer));
  CompressionCodecs[CompressionTypes.LZ4] = () => reader((buffer) => unpackLz4(buffer));
  CompressionCodecs[CompressionTypes.ZSTD] = () => reader((buffer) => zstd(buffer));
}

function reader(unpack: (buffer: Buffer) => Buffer | Promise<Buffer>): Codec {
  return {
    compress: () => Promise.reject(new SuiteError('INTERNAL', 'compressing records: this module only reads')),
    decompress: async (buffer) => unpack(buffer),
  };
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
