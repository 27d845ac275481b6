import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';

/** What OBJECT ENCODING may say of each key; which one depends on the version of the server. */
export const ENCODINGS: Readonly<Record<string, RegExp>> = {
  'string:int': /^int$/,
  'string:embstr': /^embstr$/,
  'string:raw': /^raw$/,
  'list:small': /^(listpack|ziplist|quicklist)$/,
  'list:large': /^quicklist$/,
  'set:intset': /^intset$/,
  'set:small': /^(listpack|hashtable)$/,
  'set:large': /^hashtable$/,
  'zset:small': /^(listpack|ziplist)$/,
  'zset:large': /^skiplist$/,
  'hash:small': /^(listpack|ziplist)$/,
  'hash:large': /^hashtable$/,
  stream: /^stream$/,
};

const many = (count: number): string[] => Array.from({ length: count }, (_, at) => `member ${at}`);

/**
 * A key of every type in every encoding, short and long, in several databases, with and without expiry, with binary and with packed
 * names, and what only some versions have: function libraries, and hashes whose fields expire.
 */
export async function fillEveryEncoding(
  port: number,
  databases: readonly number[] = [0, 3, 9],
): Promise<void> {
  const client = new Redis(port, '127.0.0.1');
  try {
    for (const db of databases) {
      await client.select(db);
      await strings(client);
      await collections(client);
      await streams(client);
    }
    const code = (name: string): string =>
      `#!lua name=${name}\nredis.register_function('${name}', function() return 1 end)`;
    await isPossible(async () => {
      await client.call('FUNCTION', 'LOAD', code('first'));
      await client.call('FUNCTION', 'LOAD', code('second'));
    });
    await client.hset('hash:fields', Object.fromEntries(many(5).map((name) => [name, name])));
    await isPossible(() => client.call('HPEXPIRE', 'hash:fields', 86_400_000, 'FIELDS', 1, 'member 1'));
    await client.hset('hash:many-fields', Object.fromEntries(many(2000).map((name) => [name, name])));
    await isPossible(() =>
      client.call('HPEXPIRE', 'hash:many-fields', 86_400_000, 'FIELDS', 2, 'member 1', 'member 2'),
    );
  } finally {
    client.disconnect();
  }
}

async function isPossible(call: () => Promise<unknown>): Promise<boolean> {
  return call().then(
    () => true,
    () => false,
  );
}

async function strings(client: Redis): Promise<void> {
  await client.mset(
    'string:int',
    1234567890123,
    'string:embstr',
    'short',
    'string:raw',
    randomBytes(300).toString('hex'),
  );
  for (const number of [0, 127, -128, 32767, -32768, 2147483647, -2147483648])
    await client.set(`int:${number}`, number);
  await client.set('string:packed', 'abc'.repeat(10_000));
  await client.set('string:large', randomBytes(3 * 1024 * 1024));
  await client.set('string:empty', '');
  await client.set('', 'the empty name');
  await client.set('1234', 'a name that is stored as a number');
  await client.set(`name ${'x'.repeat(500)}`, 'a name that is stored packed');
  await client.set(Buffer.from([0, 255, 13, 10, 36, 42, 128]), Buffer.from([0, 1, 2, 254, 255]));
  await client.setbit('bitmap', 100_000, 1);
  await client.pfadd('hyperloglog', ...many(500));
  await client.set('expires', 'later', 'PX', 86_400_000);
}

async function collections(client: Redis): Promise<void> {
  await client.rpush('list:small', ...many(5), '1', '-5', '100000', '9999999999');
  await client.rpush('list:large', ...many(5000));
  await client.rpush('list:plain', randomBytes(200_000), randomBytes(200_000), 'small');
  await client.sadd('set:intset', ...Array.from({ length: 100 }, (_, at) => at * 1_000_000_007));
  await client.sadd('set:small', ...many(5));
  await client.sadd('set:large', ...many(3000));
  await client.zadd('zset:small', 1, 'a', 2.5, 'b', '-inf', 'c', '+inf', 'd');
  await client.zadd('zset:large', ...many(3000).flatMap((member, at) => [at / 7, member]));
  await client.geoadd('geo', 13.36, 38.11, 'Palermo', 15.08, 37.5, 'Catania');
  await client.hset('hash:small', { a: '1', b: 'two', c: '' });
  await client.hset('hash:large', Object.fromEntries(many(3000).map((name) => [name, name])));
  await client.pexpire('hash:large', 86_400_000);
}

async function streams(client: Redis): Promise<void> {
  const pipeline = client.pipeline();
  for (let at = 1; at <= 1000; at += 1)
    pipeline.xadd('stream', `${at}-0`, 'field', `value ${at}`, 'other', at);
  await pipeline.exec();
  await client.xdel('stream', '5-0', '6-0');
  await client.xgroup('CREATE', 'stream', 'group', '0');
  await client.xgroup('CREATE', 'stream', 'idle', '$');
  await client.xreadgroup('GROUP', 'group', 'first', 'COUNT', 10, 'STREAMS', 'stream', '>');
  await client.xreadgroup('GROUP', 'group', 'second', 'COUNT', 5, 'STREAMS', 'stream', '>');
  await client.xack('stream', 'group', '1-0');
  await client.xadd('stream:empty', '1-1', 'a', 'b');
  await client.xtrim('stream:empty', 'MAXLEN', 0);
  await producers(client);
  await client.xadd('stream:end', '18446744073709551615-18446744073709551615', 'a', 'b');
}

/** A stream that remembers what its producers sent, where the server can do that (Redis 8.6). */
async function producers(client: Redis): Promise<void> {
  await client.xadd('stream:producers', '1-1', 'a', 'b');
  await isPossible(async () => {
    await client.call('XCFGSET', 'stream:producers', 'IDMP-DURATION', 86_400, 'IDMP-MAXSIZE', 500);
    for (let at = 0; at < 300; at += 1) {
      const producer = `producer ${at % 3}`;
      await client.call('XADD', 'stream:producers', 'IDMP', producer, `message ${at}`, '*', 'at', at);
    }
    await client.call('XADD', 'stream:producers', 'IDMP', 'producer 0', 'message 0', '*', 'at', 0);
  });
}
