/**
 * Redis' own limit: the module's script, fed with calls that were made before the clock starts, two per partition under way so that
 * Redis never waits. Prints one line of figures.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { Redis } from 'ioredis';
import { parseSettings } from '../modules/common/src/index.ts';
import { encodeCall } from '../modules/kafka-ingest/src/apply/call.ts';
import type { EncodedCall } from '../modules/kafka-ingest/src/apply/call.ts';
import type { KafkaRecord } from '../modules/kafka-ingest/src/record.ts';
import { fields, shapeOf } from '../modules/kafka-ingest/src/settings.ts';
import { benchRecord, PARTITIONS } from './kafka-records.ts';
import { ownUsage } from './process-usage.ts';

const [count = '0', port = '0'] = process.argv.slice(2);
const IN_FLIGHT = 2 * PARTITIONS;
/** What the script answers when everything was applied. */
const DONE = '*3\r\n:1\r\n:0\r\n:0\r\n';

const { settings } = parseSettings(fields, { environment: { REDIS_HOST: '127.0.0.1' } });
const shape = shapeOf(settings);
const redis = new Redis({ port: Number(port), host: '127.0.0.1' });
const calls = prepare();
for (let partition = 0; partition < PARTITIONS; partition += 1)
  await redis.hset(`feed:${partition}`, 'next', '0');
if (calls[0] !== undefined) await redis.script('LOAD', calls[0].script.lua);
redis.disconnect();

const socket = connect(Number(port), '127.0.0.1').setNoDelay(true);
await once(socket, 'connect');
const startedAt = performance.now();
let sent = 0;
let answered = 0;
let rest = '';
const send = (): void => {
  while (sent < calls.length && sent - answered < IN_FLIGHT) socket.write(calls[sent++]?.bytes ?? '');
};
socket.on('data', (chunk: Buffer) => {
  rest += chunk.toString('latin1');
  while (rest.length >= DONE.length) {
    if (!rest.startsWith(DONE)) throw new Error(`Redis answers ${rest.slice(0, 200)}`);
    rest = rest.slice(DONE.length);
    answered += 1;
  }
  send();
  if (answered === calls.length) {
    const perSecond = (Number(count) / (performance.now() - startedAt)) * 1000;
    console.log(JSON.stringify({ perSecond, ...ownUsage() }));
    process.exit(0);
  }
});
send();

/** One call after the other of each partition in turn, as they would come. */
function prepare(): EncodedCall[] {
  const records: KafkaRecord[][] = Array.from({ length: PARTITIONS }, () => []);
  for (let n = 0; n < Number(count); n += 1) {
    const { partition, key, value } = benchRecord(n);
    const list = records[partition];
    list?.push({
      offset: String(list.length),
      timestamp: '1700000000000',
      key: Buffer.from(key),
      value: Buffer.from(value),
    });
  }
  const each = records.map((list, partition) => callsOf(list, partition));
  const longest = Math.max(...each.map((list) => list.length));
  return Array.from({ length: longest }, (_, at) => each.flatMap((list) => list[at] ?? [])).flat();
}

function callsOf(records: readonly KafkaRecord[], partition: number): EncodedCall[] {
  const batch = { topic: 'feed', partition, from: 0, records, end: records.length, high: records.length };
  const made: EncodedCall[] = [];
  for (let start = 0; start < records.length;) {
    const result = encodeCall({
      shape,
      keys: { position: `feed:${partition}`, changes: `changes:feed:${partition}` },
      batch,
      start,
      from: start,
      maxRecords: settings.batchRecords,
      maxBytes: settings.batchBytes,
      known: new Map(),
      faultRun: 0,
      faultLimit: 20,
      isProbe: false,
      spare: undefined,
      now: 0,
    });
    if ('blocked' in result) throw new Error(result.fault.reason);
    // Without the room that the buffer has left.
    made.push({ ...result, bytes: Buffer.from(result.bytes), backing: Buffer.alloc(0) });
    start += result.records;
  }
  return made;
}
