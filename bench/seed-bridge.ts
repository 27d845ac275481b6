/** The original's shape: read a batch, publish one entry at a time, acknowledge the batch. Told by its parent what to do. */
import { Redis } from 'ioredis';
import { connectAsync } from 'mqtt';

const [port = '6379', url = '', ...streams] = process.argv.slice(2);
const redis = new Redis({ port: Number(port), host: '127.0.0.1' });
const client = await connectAsync(url, { protocolVersion: 5 });

process.on('message', ({ count }: { count: number }) => {
  void (async () => {
    const startedAt = performance.now();
    let published = 0;
    while (published < count) {
      for (const stream of streams) {
        const reply = (await redis.xreadgroup('GROUP', 'seed', 'c', 'COUNT', 100, 'STREAMS', stream, '>')) as
          [string, [string, string[]][]][] | null;
        const entries = reply?.[0]?.[1] ?? [];
        if (entries.length === 0) continue;
        for (const [id, pairs] of entries) {
          const data: Record<string, string> = {};
          for (let at = 0; at + 1 < pairs.length; at += 2) data[pairs[at] ?? ''] = pairs[at + 1] ?? '';
          const payload = JSON.stringify({ stream, id, data, timestamp: new Date().toISOString() });
          await client.publishAsync(`redis/${stream.replaceAll(':', '/')}`, payload, { qos: 1 });
          published += 1;
        }
        await redis.xack(stream, 'seed', ...entries.map(([id]) => id));
      }
    }
    process.send?.({ perSecond: (published / (performance.now() - startedAt)) * 1000 });
  })();
});
process.send?.({ ready: true });
