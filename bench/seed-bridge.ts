/**
 * The original's shape, in Node: read a batch of each stream, publish its entries one at a time, acknowledge the batch. As `loop` it
 * does what the original's main loop does (the streams side by side, a rest of 100 ms after each round, MQTT 3.1.1); as `tight` one
 * stream follows the other and nothing rests, which is the best that one publish at a time can do. Told by its parent what to do.
 */
import { Redis } from 'ioredis';
import { connectAsync } from 'mqtt';

const [port = '6379', url = '', shape = 'loop', ...streams] = process.argv.slice(2);
const isLoop = shape === 'loop';
const BATCH = 100;
const READ_TIMEOUT_MS = 1000;
const REST_MS = 100;
// A read that blocks holds up its connection; the original takes one of a pool for each call.
const connections = new Map(
  streams.map((stream) => [stream, new Redis({ port: Number(port), host: '127.0.0.1' })]),
);
const client = await connectAsync(url, { protocolVersion: isLoop ? 4 : 5 });

async function forwardBatch(stream: string, redis: Redis): Promise<number> {
  const reply = (await (isLoop
    ? redis.xreadgroup('GROUP', 'seed', 'c', 'COUNT', BATCH, 'BLOCK', READ_TIMEOUT_MS, 'STREAMS', stream, '>')
    : redis.xreadgroup('GROUP', 'seed', 'c', 'COUNT', BATCH, 'STREAMS', stream, '>'))) as
    [string, [string, string[]][]][] | null;
  const entries = reply?.[0]?.[1] ?? [];
  if (entries.length === 0) return 0;
  for (const [id, pairs] of entries) {
    const data: Record<string, string> = {};
    for (let at = 0; at + 1 < pairs.length; at += 2) data[pairs[at] ?? ''] = pairs[at + 1] ?? '';
    const payload = JSON.stringify({ stream, id, data, timestamp: new Date().toISOString() });
    await client.publishAsync(`redis/${stream.replaceAll(':', '/')}`, payload, { qos: 1 });
  }
  await redis.xack(stream, 'seed', ...entries.map(([id]) => id));
  return entries.length;
}

async function round(): Promise<number> {
  let published = 0;
  if (isLoop) {
    const counts = await Promise.all([...connections].map(([stream, redis]) => forwardBatch(stream, redis)));
    for (const count of counts) published += count;
  } else for (const [stream, redis] of connections) published += await forwardBatch(stream, redis);
  return published;
}

process.on('message', ({ count }: { count: number }) => {
  void (async () => {
    const startedAt = performance.now();
    let published = 0;
    while (published < count) {
      published += await round();
      if (isLoop && published < count) await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
    process.send?.({ perSecond: (published / (performance.now() - startedAt)) * 1000 });
  })();
});
process.send?.({ ready: true });
