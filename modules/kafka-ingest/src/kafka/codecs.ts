import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { uncompress } from 'snappyjs';
import { SuiteError } from '@iotedge-redis/common';
import { CompressionCodecs } from './kafka-library.ts';
import { unpackLz4 } from './lz4.ts';

/** A batch that would take more when it is unpacked is not read: a few kilobytes can hold gigabytes. */
export const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

/** Written before each message by the Java library; the length of a block follows. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEAD = 16;

/** By the numbers of the protocol. */
const CODECS: readonly {
  readonly codec: 1 | 2 | 3 | 4;
  readonly name: string;
  read(packed: Buffer): Buffer;
}[] = [
  { codec: 1, name: 'gzip', read: (packed) => gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }) },
  { codec: 2, name: 'snappy', read: fromSnappy },
  { codec: 3, name: 'lz4', read: (packed) => unpackLz4(packed, MAX_UNPACKED_BYTES) },
  {
    codec: 4,
    name: 'zstd',
    read: (packed) => zstdDecompressSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }),
  },
];

/** Unpacks what was compressed with the codec of this number. Throws a SuiteError when that cannot be done. */
export function unpack(codec: number, packed: Buffer): Buffer {
  const known = CODECS.find((each) => each.codec === codec);
  if (known === undefined)
    throw new SuiteError('DATA_INVALID', `it is compressed with codec ${codec}, which is not known`);
  try {
    return known.read(packed);
  } catch (error) {
    const text = error instanceof Error ? error.message : '';
    throw new SuiteError('DATA_INVALID', `unpacking ${known.name}: ${text}`, { cause: error });
  }
}

/** Topics of the format before record batches are unpacked by the library, which has gzip only. */
export function registerCodecs(): void {
  for (const { codec } of CODECS.filter(({ name }) => name !== 'gzip'))
    CompressionCodecs[codec] = () => ({
      compress: () =>
        Promise.reject(new SuiteError('INTERNAL', 'compressing records: this module only reads')),
      decompress: (packed: Buffer) => Promise.resolve(unpack(codec, packed)),
    });
}

/** One block, or many with a head before them. */
function fromSnappy(packed: Buffer): Buffer {
  if (!packed.subarray(0, XERIAL.length).equals(XERIAL)) return uncompress(packed, MAX_UNPACKED_BYTES);
  const blocks: Buffer[] = [];
  let room = MAX_UNPACKED_BYTES;
  for (let at = XERIAL_HEAD; at < packed.length;) {
    const size = packed.readUInt32BE(at);
    const block = uncompress(packed.subarray(at + 4, at + 4 + size), room);
    blocks.push(block);
    room -= block.length;
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}
