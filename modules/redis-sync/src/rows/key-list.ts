import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Row } from './row.ts';

/** The keys that a batch wrote, packed: about 5 to 10 bytes per key. */
export function packKeys(rows: Iterable<Row>): Buffer {
  const keys: Buffer[] = [];
  for (const { op, data, keyStart, keyEnd } of rows) {
    if (op !== 'del') keys.push(data.subarray(keyStart, keyEnd));
  }
  return packKeyBuffers(keys);
}

export function packKeyBuffers(keys: readonly Buffer[]): Buffer {
  const bytes = Buffer.allocUnsafe(keys.reduce((sum, key) => sum + 4 + key.length, 0));
  let at = 0;
  for (const key of keys) {
    at = bytes.writeUInt32LE(key.length, at);
    at += key.copy(bytes, at);
  }
  return deflateRawSync(bytes, { level: 6 });
}

export function unpackKeys(packed: Buffer): Buffer[] {
  const bytes = inflateRawSync(packed);
  const keys: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    keys.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return keys;
}
