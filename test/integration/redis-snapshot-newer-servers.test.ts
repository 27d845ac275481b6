import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Crc64 } from '@iotedge-redis/common';
import type { JsonObject } from '@iotedge-redis/common';
import { readManifest, writeManifest } from '../../modules/redis-snapshot/src/storage/manifest.ts';
import { startAzurite } from '../helpers/azurite.ts';
import { fillEveryEncoding } from '../helpers/every-encoding.ts';
import { keyCounts, withRedis } from '../helpers/import-bed.ts';
import { dumpAll } from '../helpers/mixed-data.ts';
import { findNewestRedis } from '../helpers/newest-redis.ts';
import { startRedis } from '../helpers/redis.ts';
import { checkRdb, startRedisFrom, startSnapshot, tempDir } from '../helpers/snapshot-bed.ts';

const storage = await startAzurite();
after(() => storage.stop());

for (const exportMethod of ['sync', 'scan'] as const) {
  test(`SN-2 SN-5 SN-12 the newest Redis is exported by ${exportMethod}, checked and loaded by itself, and imported again, every key alike`, async (t) => {
    const program = await findNewestRedis();
    const azurite = await storage.createContainer(`newest-${exportMethod}`);
    const source = await startRedis(t, { program });
    await fillEveryEncoding(source.port);
    const stateDir = await tempDir(t);
    const bed = await startSnapshot(t, { azurite, redis: source, stateDir, settings: { exportMethod } });
    const result = await bed.run('Export');
    const wanted = await dumpAll(source.port);
    assert.deepEqual([result['keys'], result['unread']], [wanted.size, undefined]);
    const blob = await azurite.download(`snapshots/${textIn(result, 'snapshot')}.rdb`);
    assert.match(await checkRdb(t, blob, program), /RDB looks OK/);
    const alike = exportMethod === 'sync' ? (dumps: ReadonlyMap<string, string>) => dumps : withoutExpiry;
    const loaded = await startRedisFrom(t, blob, program);
    assert.deepEqual(alike(await dumpAll(loaded.port)), alike(wanted));
    const target = await startRedis(t, { program });
    const importing = await startSnapshot(t, {
      ...{ azurite, redis: target, stateDir: await tempDir(t), instance: 'target' },
    });
    assert.equal((await importing.run('Import'))['restored'], wanted.size);
    assert.deepEqual(alike(await dumpAll(target.port)), alike(wanted));
    const about = (port: number) =>
      withRedis(port, async (client) => {
        const info = await client.xinfo('STREAM', 'stream:producers');
        const groups = await client.xinfo('GROUPS', 'stream');
        return [info, groups, await client.xpending('stream', 'group')].map((reply) => JSON.stringify(reply));
      });
    assert.deepEqual(await about(target.port), await about(source.port));
  });
}

/** A scan has the expiry from the time that is left, which is known less exactly. */
function withoutExpiry(dumps: ReadonlyMap<string, string>): ReadonlyMap<string, string | undefined> {
  return new Map([...dumps].map(([key, value]) => [key, value.split(' ')[0]]));
}

test('SN-2 SN-3 what a later server writes is exported with its counts left open, copied, listed, and refused by an import before the first key', async (t) => {
  const [azurite, copies] = await Promise.all([
    storage.createContainer('later'),
    storage.createContainer('later-copies'),
  ]);
  const redis = await startRedis(t);
  const file = laterFile();
  const later = await startLaterServer(t, redis, file);
  const bed = await startSnapshot(t, {
    ...{ azurite, redis: later, stateDir: await tempDir(t) },
    settings: {
      copyBlobEndpoint: copies.endpoint,
      copyBlobContainerName: copies.container,
      copyBlobSasToken: copies.sas({ permissions: 'rwcl' }),
      exportMethod: 'sync',
    },
  });
  const result = await bed.run('Export');
  const unread = /^an entry has the type 99, which this version of the module does not read/;
  assert.equal(result['keys'], null);
  assert.match(textIn(result, 'unread'), unread);
  assert.ok(bed.lines.some((line) => line.includes('its keys are not counted') && line.includes('type 99')));
  const name = `snapshots/${textIn(result, 'snapshot')}`;
  assert.deepEqual(await azurite.download(`${name}.rdb`), file);
  const manifest = readManifest(name, await azurite.download(`${name}.manifest.json`));
  const [part] = manifest.parts;
  assert.deepEqual([manifest.keys, part?.keys, part?.functions], [null, null, null]);
  assert.deepEqual([part?.isChecksummed, part?.bytes], [true, file.length]);
  assert.match(part?.unread ?? '', unread);
  assert.equal((await bed.run('Copy'))['keys'], null);
  assert.deepEqual(await copies.download(`${name}.rdb`), file);
  const { snapshots } = (await bed.call('ListSnapshots')).payload as { snapshots: JsonObject[] } & JsonObject;
  assert.deepEqual(
    snapshots.map(({ keys }) => keys),
    [null],
  );
  const target = await startRedis(t);
  const importing = await startSnapshot(t, { azurite, redis: target, stateDir: await tempDir(t) });
  const over = await importing.until(await importing.begin('Import'), 'failed');
  assert.equal(over['code'], 'DATA_INVALID');
  assert.match(textIn(over, 'message'), /type 99.*take a newer one, or have a server load the file/);
  assert.deepEqual(await keyCounts(target.port), {});
});

test('SN-3 a snapshot whose keys were not counted is imported by a version that reads it', async (t) => {
  const [azurite, redis] = await Promise.all([storage.createContainer('uncounted'), startRedis(t)]);
  await withRedis(redis.port, (client) => client.mset('a', 1, 'b', 2));
  const bed = await startSnapshot(t, { azurite, redis, stateDir: await tempDir(t) });
  const result = await bed.run('Export');
  const blob = `snapshots/${textIn(result, 'snapshot')}.manifest.json`;
  const manifest = readManifest(blob, await azurite.download(blob));
  const parts = manifest.parts.map((part) => ({ ...part, keys: null, functions: null, unread: 'something' }));
  await azurite.upload(blob, writeManifest({ ...manifest, keys: null, parts }).toString());
  const target = await startRedis(t);
  const importing = await startSnapshot(t, { azurite, redis: target, stateDir: await tempDir(t) });
  assert.equal((await importing.run('Import'))['restored'], 2);
});

function textIn(fields: JsonObject, name: string): string {
  const { [name]: value } = fields;
  if (typeof value !== 'string') throw new Error(`no ${name} in ${JSON.stringify(fields)}`);
  return value;
}

/** An RDB with a key, and with a value of a type that no server has yet. */
function laterFile(): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
  const body = Buffer.concat([
    Buffer.from('REDIS0099'),
    ...[Buffer.of(254, 0, 0), text('known'), text('value')],
    ...[Buffer.of(99), text('unknown'), Buffer.alloc(100_000, 0xff)],
    Buffer.of(255),
  ]);
  return Buffer.concat([body, Crc64.redis().update(body).digest()]);
}

/** A Redis that answers SYNC with that file, as a later version might; everything else goes to the real one. */
async function startLaterServer(
  t: TestContext,
  redis: { readonly port: number },
  file: Buffer,
): Promise<{ readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(redis.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('close', () => upstream.destroy());
    client.on('data', (command: Buffer) => {
      if (command.includes('\r\nSYNC\r\n'))
        client.write(Buffer.concat([Buffer.from(`$${file.length}\r\n`), file]));
      else upstream.write(command);
    });
    upstream.pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port };
}
