import type { RedisClient } from '@iotedge-redis/common';
import type { Row } from './row.ts';

const SLOTS = 16_384;

/** CRC16 (XMODEM), by which a Redis Cluster maps keys to slots. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});

/** Slot of a key: of what stands between the first `{` and the next `}`, when there is something between them. */
export function slotOf(key: Buffer): number {
  const open = key.indexOf(0x7b);
  const close = open === -1 ? -1 : key.indexOf(0x7d, open + 1);
  const tag = close > open + 1 ? key.subarray(open + 1, close) : key;
  let crc = 0;
  for (const byte of tag) crc = ((crc << 8) ^ (TABLE[((crc >> 8) ^ byte) & 0xff] ?? 0)) & 0xffff;
  return crc % SLOTS;
}

function keyOf(row: Row): Buffer {
  return row.data.subarray(row.keyStart, row.keyEnd);
}

/** The last row of each key, by slot and kind of command: each group fits into one command or is one hash. */
export function groupBySlot(rows: Iterable<Row>): Row[][] {
  const last = new Map<string, Row>();
  for (const row of rows) last.set(keyOf(row).toString('latin1'), row);
  const groups = new Map<string, Row[]>();
  for (const [key, row] of last) {
    const isMany = row.op === 'del' || (row.op === 'set' && row.ttlSeconds === 0);
    const name = isMany ? `${row.op} ${slotOf(keyOf(row))}` : `one ${key}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  return [...groups.values()];
}

/** Sends one group; the library finds the node and follows slots that move. */
export async function writeGroup(
  client: RedisClient,
  group: readonly Row[],
  startedAt: number,
): Promise<void> {
  const [first] = group;
  if (first === undefined) return;
  const key = keyOf(first);
  const endsAt = startedAt + first.ttlSeconds * 1000;
  if (first.op === 'del') await client.del(...group.map(keyOf));
  else if (first.op === 'hash') {
    const step = client
      .multi()
      .del(key)
      .hset(key, ...(first.fields ?? []));
    const results = await (first.ttlSeconds > 0 ? step.pexpireat(key, endsAt) : step).exec();
    for (const [error] of results ?? []) if (error !== null) throw error;
  } else if (first.ttlSeconds > 0) await client.set(key, valueOf(first), 'PXAT', endsAt);
  else await client.mset(...group.flatMap((row) => [keyOf(row), valueOf(row)]));
}

function valueOf(row: Row): Buffer {
  return row.data.subarray(row.valueStart, row.valueEnd);
}
