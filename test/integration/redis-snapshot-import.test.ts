import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Crc64, SuiteError } from '@iotedge-redis/common';
import { ENCODINGS, fillEveryEncoding } from '../helpers/every-encoding.ts';
import { importFile, keyCounts, saveRdb, withRedis } from '../helpers/import-bed.ts';
import { dumpAll } from '../helpers/mixed-data.ts';
import { startRedis } from '../helpers/redis.ts';
import { findRedisVersions } from '../helpers/redis-versions.ts';

const refusedWith = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof SuiteError && error.code === code && text.test(error.message);

for (const program of await findRedisVersions()) {
  test(`SN-11 SN-12 SN-25 every type in every encoding comes through the same by DUMP: ${program.name}`, async (t) => {
    const source = await startRedis(t, { program });
    await fillEveryEncoding(source.port);
    await withRedis(source.port, async (client) => {
      for (const [key, pattern] of Object.entries(ENCODINGS)) {
        assert.match(String(await client.object('ENCODING', key)), pattern, key);
      }
    });
    const file = await saveRdb(source);
    const target = await startRedis(t, { program });
    const result = await importFile(target.port, file);
    const expected = await dumpAll(source.port);
    assert.equal(result['restored'], expected.size);
    assert.equal(result['isVerified'], true);
    assert.deepEqual(await dumpAll(target.port), expected);
    const pending = await withRedis(target.port, (client) => client.xpending('stream', 'group'));
    assert.equal(pending[0], 14);
    const about = await withRedis(source.port, (client) => client.xinfo('STREAM', 'stream:producers'));
    if (Array.isArray(about) && about.includes('iids-tracked')) {
      const again = await withRedis(target.port, (client) =>
        client.call('XADD', 'stream:producers', 'IDMP', 'producer 1', 'message 1', '*', 'at', 1),
      );
      const first = await withRedis(source.port, (client) => client.xrange('stream:producers', '1-2', '+'));
      assert.equal(again, first[1]?.[0], 'the target knows what a producer sent to the source');
    }
    if (result['functions'] !== 0) {
      const found = await withRedis(target.port, (client) => client.call('FUNCTION', 'LIST'));
      assert.equal(Array.isArray(found) && found.length, 2);
    }
  });
}

test('SN-25 each version imports what older ones wrote, and a newer RDB is refused before the first key with both versions named', async (t) => {
  const programs = await findRedisVersions();
  const table: string[] = [];
  for (const from of programs) {
    const source = await startRedis(t, { program: from });
    await withRedis(source.port, async (client) => {
      await client.mset('a', 1, 'b', 'text');
      await client.rpush('list', 1, 2, 3);
      await client.zadd('zset', 1, 'a');
      await client.hset('hash', 'a', 1);
      await client.xadd('stream', '1-1', 'a', 'b');
      await client.sadd('set', 'a', 'b');
    });
    const file = await saveRdb(source);
    for (const into of programs) {
      const target = await startRedis(t, { program: into });
      const outcome = await importFile(target.port, file).then(
        (result) => `${Number(result['restored'])} keys`,
        (error: unknown) => {
          assert.ok(error instanceof SuiteError);
          assert.equal(error.code, 'DATA_INVALID');
          assert.match(
            error.message,
            /RDB version \d+ \(.*takes up to RDB version \d+|kind stream in a form of redis \(type 26\) that valkey/,
          );
          return 'refused';
        },
      );
      assert.deepEqual(await keyCounts(target.port), outcome === 'refused' ? {} : { 0: 7 });
      table.push(`${from.name} -> ${into.name}: ${outcome}`);
      if (from.name === 'redis 8.6.3' && into.name.startsWith('valkey 9')) {
        await withRedis(source.port, (client) => client.unlink('stream'));
        const result = await importFile(target.port, await saveRdb(source));
        assert.equal(result['restored'], 6, 'only the streams are in a form of its own');
      }
      await target.stop();
    }
    await source.stop();
  }
  t.diagnostic(table.join('\n'));
  const order = programs.map(({ name }) => name);
  for (const [index, name] of order.entries()) {
    assert.ok(table.includes(`${name} -> ${name}: 7 keys`));
    const [older] = order.slice(0, index);
    if (older !== undefined) assert.ok(table.includes(`${older} -> ${name}: 7 keys`));
  }
  const isRefused = (from: string, into: string): boolean =>
    table.includes(`${from} -> ${into}: refused`) || !order.includes(from) || !order.includes(into);
  assert.ok(isRefused('redis 7.0.15', 'redis 6.2.14'));
  assert.ok(isRefused('redis 8.6.3', 'redis 8.0.2'));
});

test('SN-9 a gzip file and a value of 100 MB come through; nothing else is buffered', async (t) => {
  const source = await startRedis(t, { args: ['--rdbcompression', 'no'] });
  const value = Buffer.alloc(100 * 1024 * 1024);
  randomBytes(1024 * 1024).copy(value, 5000);
  await withRedis(source.port, async (client) => {
    await client.set('large', value);
    await client.mset('before', 1, 'zafter', 2);
  });
  const file = await saveRdb(source);
  const packed = `${source.dir}/packed`;
  await writeFile(packed, gzipSync(await readFile(file), { level: 1 }));
  const target = await startRedis(t, { args: ['--rdbcompression', 'no'] });
  assert.equal((await importFile(target.port, packed))['restored'], 3);
  assert.deepEqual(await dumpAll(target.port), await dumpAll(source.port));
});

test('SN-13 keys whose time has passed are left out and counted, the others keep theirs to the millisecond', async (t) => {
  const source = await startRedis(t);
  const later = Date.now() + 3_600_000;
  const soon = Date.now() + 300;
  await withRedis(source.port, async (client) => {
    await client.set('later', 1, 'PXAT', later);
    await client.set('soon', 1, 'PXAT', soon);
    await client.set('stays', 1);
  });
  const file = await saveRdb(source);
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, soon + 50 - Date.now())));
  const target = await startRedis(t);
  const result = await importFile(target.port, file);
  assert.deepEqual([result['restored'], result['expired']], [2, 1]);
  await withRedis(target.port, async (client) =>
    assert.equal(await client.call('PEXPIRETIME', 'later'), later),
  );
});

test('SN-12 idle time and frequency come along where the source evicts by them', async (t) => {
  const source = await startRedis(t, { args: ['--maxmemory-policy', 'allkeys-lru'] });
  await withRedis(source.port, async (client) => {
    await client.set('idle', 1);
    await client.call('RESTORE', ['old', '0', await client.dumpBuffer('idle'), 'IDLETIME', '5000']);
  });
  const target = await startRedis(t, { args: ['--maxmemory-policy', 'allkeys-lru'] });
  await importFile(target.port, await saveRdb(source));
  const idle = await withRedis(target.port, (client) => client.object('IDLETIME', 'old'));
  assert.ok(Number(idle) >= 4990, String(idle));
});

test('SN-15 failIfNotEmpty refuses a Redis that holds a key, skip keeps it, replace overwrites it, exact also deletes the rest', async (t) => {
  const source = await startRedis(t);
  await withRedis(source.port, (client) => client.mset('both', 'new', 'only', 'new'));
  const file = await saveRdb(source);
  const target = await startRedis(t);
  const reset = () =>
    withRedis(target.port, async (client) => {
      await client.flushall();
      await client.mset('both', 'old', 'other', 'old');
    });
  const held = () => withRedis(target.port, (client) => client.mget('both', 'only', 'other'));
  await reset();
  await assert.rejects(
    importFile(target.port, file),
    refusedWith('CONFLICT', /database 0 of Redis holds 2 keys/),
  );
  assert.deepEqual(await held(), ['old', null, 'old']);
  const skipped = await importFile(target.port, file, { policy: 'skip' });
  assert.deepEqual([skipped['restored'], skipped['skipped']], [1, 1]);
  assert.deepEqual(await held(), ['old', 'new', 'old']);
  await reset();
  await importFile(target.port, file, { policy: 'replace' });
  assert.deepEqual(await held(), ['new', 'new', 'old']);
  for (const staging of ['never', 'always'] as const) {
    await reset();
    await withRedis(target.port, async (client) => {
      await client.select(5);
      await client.set('elsewhere', 1);
    });
    const exact = await importFile(target.port, file, { policy: 'exact', staging });
    assert.equal(exact['isStaged'], staging === 'always');
    assert.deepEqual(await held(), ['new', 'new', null]);
    assert.deepEqual(await keyCounts(target.port), { 0: 2 });
  }
});

test('SN-15 a damaged file in which a key stands twice ends an import into an empty Redis, and nothing of it stays', async (t) => {
  const target = await startRedis(t);
  const entry = (key: string): Buffer => Buffer.from(`\0\x01${key}\x05value`);
  const body = Buffer.concat([
    Buffer.from('REDIS0009'),
    Buffer.of(254, 0),
    ...['a', 'b', 'a', 'c'].map(entry),
    Buffer.of(255),
  ]);
  const file = join(target.dir, 'twice.rdb');
  await writeFile(file, Buffer.concat([body, Crc64.redis().update(body).digest()]));
  await assert.rejects(importFile(target.port, file), /byte 29 .*the file holds it twice/);
  assert.deepEqual(await keyCounts(target.port), {});
  await withRedis(target.port, (client) => client.set('b', 'of somebody else'));
  await importFile(target.port, file, { policy: 'skip', runId: 'skipping' });
  assert.deepEqual(await keyCounts(target.port), { 0: 3 });
});

test('SN-16 by way of spare databases all keys appear at once, and the spare ones are empty afterwards', async (t) => {
  const source = await startRedis(t);
  await fillEveryEncoding(source.port);
  const file = await saveRdb(source);
  const target = await startRedis(t);
  const seen = new Set<string>();
  const result = await importFile(target.port, file, {
    staging: 'always',
    onProgress: () => {
      void keyCounts(target.port).then(
        (counts) => seen.add(String(counts['0'] ?? 0)),
        () => undefined,
      );
    },
  });
  assert.equal(result['isStaged'], true);
  const expected = await dumpAll(source.port);
  assert.deepEqual(await dumpAll(target.port), expected);
  const all = [...expected.keys()].filter((key) => key.startsWith('0 ')).length;
  // The import's own checkpoint is in database 0 meanwhile.
  const allowed = [0, 1, all, all + 1].map(String);
  for (const count of seen) assert.ok(allowed.includes(count), `${count} of ${all} keys were seen`);
});

test("SN-23 the suite's own keys come last, and this module's own neither come nor go", async (t) => {
  const source = await startRedis(t);
  await withRedis(source.port, async (client) => {
    await client.set('iotedge-redis:kafka-ingest:position', 7);
    await client.set('iotedge-redis:redis-snapshot:x:runs', 'of the source');
    for (let at = 0; at < 5000; at += 1) void client.set(`key:${at}`, at);
    await client.ping();
  });
  const target = await startRedis(t);
  await withRedis(target.port, (client) =>
    client.set('iotedge-redis:redis-snapshot:x:runs', 'of the target'),
  );
  const monitor = await withRedis(target.port, async (client) => {
    const lines: string[] = [];
    const monitoring = await client.monitor();
    monitoring.on('monitor', (_time: string, args: string[]) => {
      if (args[0]?.toUpperCase() === 'RESTORE') lines.push(args[1] ?? '');
    });
    await importFile(target.port, await saveRdb(source));
    await client.ping();
    while (lines.length < 5001) await new Promise((resolve) => setTimeout(resolve, 10));
    monitoring.disconnect();
    return lines;
  });
  assert.equal(monitor.length, 5001);
  assert.equal(monitor.at(-1), 'iotedge-redis:kafka-ingest:position');
  await withRedis(target.port, async (client) =>
    assert.equal(await client.get('iotedge-redis:redis-snapshot:x:runs'), 'of the target'),
  );
});

test('an empty RDB is imported as nothing, and with exact it empties Redis', async (t) => {
  const source = await startRedis(t);
  const file = await saveRdb(source);
  const target = await startRedis(t);
  assert.equal((await importFile(target.port, file))['restored'], 0);
  await withRedis(target.port, (client) => client.mset('a', 1, 'b', 2));
  const result = await importFile(target.port, file, { policy: 'exact' });
  assert.equal(result['deleted'], 2);
  assert.deepEqual(await keyCounts(target.port), {});
});

test('SN-10 an RDB without a checksum is read to its end and reported as not verified', async (t) => {
  const source = await startRedis(t, { args: ['--rdbchecksum', 'no'] });
  await withRedis(source.port, (client) => client.mset('a', 1, 'b', 2));
  const target = await startRedis(t);
  const result = await importFile(target.port, await saveRdb(source));
  assert.deepEqual([result['isVerified'], result['restored']], [false, 2]);
});

test('SN-15 an RDB that needs more memory than there is, or a value beyond proto-max-bulk-len, is refused before the first key', async (t) => {
  const source = await startRedis(t);
  await withRedis(source.port, (client) => client.set('large', randomBytes(4 * 1024 * 1024)));
  const file = await saveRdb(source);
  const small = await startRedis(t, { args: ['--maxmemory', '3mb'] });
  await assert.rejects(importFile(small.port, file), refusedWith('REDIS_OOM', /about \d+ MB of memory/));
  assert.deepEqual(await keyCounts(small.port), {});
  const narrow = await startRedis(t, { args: ['--proto-max-bulk-len', '1mb'] });
  await assert.rejects(
    importFile(narrow.port, file),
    refusedWith('TOO_LARGE', /entry at byte \d+ .*proto-max-bulk-len/),
  );
  assert.deepEqual(await keyCounts(narrow.port), {});
  const few = await startRedis(t, { args: ['--databases', '2'] });
  await withRedis(source.port, async (client) => {
    await client.select(9);
    await client.set('a', 1);
  });
  const databases = await saveRdb(source);
  await assert.rejects(
    importFile(few.port, databases),
    refusedWith('DATA_INVALID', /database 9, and Redis has 2/),
  );
});

test('an import waits while Redis is out of memory and goes on when there is room', async (t) => {
  const source = await startRedis(t);
  await withRedis(source.port, async (client) => {
    for (let at = 0; at < 20_000; at += 1) void client.set(`key:${at}`, randomBytes(1000));
    await client.ping();
  });
  const file = await saveRdb(source);
  const target = await startRedis(t);
  await withRedis(target.port, (client) => client.set('in the way', Buffer.alloc(20_000_000)));
  const waited: string[] = [];
  const running = importFile(target.port, file, {
    policy: 'replace',
    onProgress: ({ phase }) => {
      if (phase !== 'data' || waited.length > 0) return;
      waited.push('began');
      void withRedis(target.port, (client) => client.config('SET', 'maxmemory', '15mb'));
    },
    onWaiting: (waiting) => {
      if (waiting?.code !== 'REDIS_OOM' || waited.includes(waiting.code)) return;
      waited.push(waiting.code);
      void withRedis(target.port, (client) => client.config('SET', 'maxmemory', '0'));
    },
  });
  assert.equal((await running)['restored'], 20_000);
  assert.ok(waited.includes('REDIS_OOM'), waited.join());
  assert.deepEqual(await keyCounts(target.port), { 0: 20_001 });
});
