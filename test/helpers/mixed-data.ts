import { createHash, randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';

/** Some keys of every type, short and long, in several databases, with and without expiry, binary ones too; and a function. */
export async function fillMixed(port: number, { isCluster = false } = {}): Promise<number> {
  const client = new Redis(port, '127.0.0.1');
  try {
    for (const db of isCluster ? [0] : [0, 1, 15]) {
      if (db > 0) await client.select(db);
      const many = (count: number): string[] => Array.from({ length: count }, (_, at) => `member ${at}`);
      await client.set('number', '12345');
      await client.set('text', 'value '.repeat(10));
      await client.set('compressible', 'a'.repeat(10_000), 'PX', 86_400_000);
      await client.set(Buffer.from([0, 1, 255, 10, 13]), randomBytes(5000));
      await client.rpush('list:short', ...many(3));
      await client.rpush('list:long', ...many(3000));
      await client.sadd('set:numbers', 1, 2, 3);
      await client.sadd('set:short', ...many(3));
      await client.sadd('set:long', ...many(3000));
      await client.zadd('zset:short', 1, 'a', 2.5, 'b');
      await client.zadd('zset:long', ...many(3000).flatMap((member, at) => [at, member]));
      await client.hset('hash:short', { a: '1', b: '2' });
      await client.hset('hash:long', Object.fromEntries(many(3000).map((name) => [name, name])));
      await client.expire('hash:long', 86_400);
      for (let at = 0; at < 300; at += 1) await client.xadd('stream', '*', 'field', `value ${at}`);
      await client.xgroup('CREATE', 'stream', 'group', '0');
      await client.xreadgroup('GROUP', 'group', 'consumer', 'COUNT', 10, 'STREAMS', 'stream', '>');
      await client.pfadd('hyperloglog', ...many(100));
    }
    await client.call('FUNCTION', [
      'LOAD',
      'REPLACE',
      "#!lua name=tested\nredis.register_function('tested', function() return 1 end)",
    ]);
    return await count(client);
  } finally {
    client.disconnect();
  }
}

/** So many keys with values that do not compress, about `bytes` each. */
export async function fillBulk(port: number, keys: number, bytes: number): Promise<void> {
  const client = new Redis(port, '127.0.0.1');
  try {
    for (let from = 0; from < keys; from += 500) {
      const pipeline = client.pipeline();
      for (let at = from; at < Math.min(keys, from + 500); at += 1)
        pipeline.set(`bulk:${at}`, randomBytes(bytes));
      await pipeline.exec();
    }
  } finally {
    client.disconnect();
  }
}

/**
 * Every key with a digest of its DUMP and its expiry, by database: what two servers must have in common. Hash tables come out of DUMP
 * in an order of the server's own, so their members are sorted.
 */
export async function dumpAll(port: number): Promise<ReadonlyMap<string, string>> {
  const client = new Redis(port, '127.0.0.1');
  const found = new Map<string, string>();
  try {
    for (const db of await databases(client)) {
      if (db > 0) await client.select(db);
      let cursor = '0';
      do {
        const [next, keys] = await client.scanBuffer(cursor, 'COUNT', 1000);
        cursor = next.toString();
        for (const key of keys) {
          const content =
            (await client.object('ENCODING', key)) === 'hashtable'
              ? await members(client, key)
              : await client.dumpBuffer(key);
          const digest = createHash('sha256').update(content).digest('hex');
          found.set(`${db} ${key.toString('hex')}`, `${digest} ${await expiryOf(client, key)}`);
        }
      } while (cursor !== '0');
    }
    return found;
  } finally {
    client.disconnect();
  }
}

/** Servers before 7.0 say only how long it is until then. */
async function expiryOf(client: Redis, key: Buffer): Promise<string> {
  return client.pexpiretime(key).then(String, async () => ((await client.pttl(key)) < 0 ? '-1' : 'expires'));
}

async function members(client: Redis, key: Buffer): Promise<string> {
  const found =
    (await client.type(key)) === 'set'
      ? await client.smembers(key)
      : Object.entries(await client.hgetall(key));
  return JSON.stringify(found.sort());
}

async function databases(client: Redis): Promise<readonly number[]> {
  const keyspace = await client.info('keyspace');
  return [...keyspace.matchAll(/^db(\d+):/gm)].map(([, db]) => Number(db));
}

async function count(client: Redis): Promise<number> {
  const keyspace = await client.info('keyspace');
  return [...keyspace.matchAll(/keys=(\d+)/g)].reduce((sum, [, keys]) => sum + Number(keys), 0);
}
