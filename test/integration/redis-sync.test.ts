import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

let azurite: TestAzurite;
let redis: TestRedis;
let client: Redis;

before(async () => {
  [azurite, redis] = await Promise.all([startAzurite(), startRedis(undefined)]);
  client = new Redis(redis.port, '127.0.0.1');
});
after(async () => {
  client.disconnect();
  await Promise.all([azurite.stop(), redis.stop()]);
});

/** Every key but the module's own, with its value. */
async function contents(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const key of (await client.keys('*')).sort()) {
    if (key.startsWith('iotedge-redis:')) continue;
    found[key] = (await client.type(key)) === 'hash' ? await client.hgetall(key) : await client.get(key);
  }
  return found;
}

test("the seed's file and its five properties bring the keys into Redis, and the result into the twin", async (t) => {
  await client.flushall();
  const etag = await azurite.upload('update.csv', 'key1:value1\r\nkey2:value2\r\nkey3:value3');
  const bed = await startSync(t, { azurite, redis });
  await bed.until('done');
  assert.deepEqual(await contents(), { key1: 'value1', key2: 'value2', key3: 'value3' });
  const {
    ac,
    av,
    rows,
    written,
    skipped,
    deleted,
    bytes,
    etag: reported,
    errors,
    delimiter,
  } = bed.reports.at(-1) ?? {};
  assert.deepEqual(
    { ac, av, rows, written, skipped, deleted, bytes, reported, errors, delimiter },
    {
      ac: 200,
      av: 7,
      rows: 3,
      written: 3,
      skipped: 0,
      deleted: 0,
      bytes: 37,
      reported: etag,
      errors: [],
      delimiter: 'colon',
    },
  );
  for (const name of ['startedAt', 'finishedAt', 'durationMs'])
    assert.ok(name in (bed.reports.at(-1) ?? {}), name);
});

test('RS-11 RS-41 columns give types, time to live and deletion; the last row of a key wins', async (t) => {
  await client.flushall();
  await client.set('gone', 'x');
  await client.set('h', 'was a string');
  await azurite.upload(
    'columns.csv',
    [
      'key,value,ttl,type,op',
      'a,1,,,',
      'b,"two, 2",60,,',
      'h,"{""x"":1,""y"":""z""}",,hash,',
      'j,"{""x"": 1}",90,json,',
      'gone,,,,del',
      'a,last,,,',
    ].join('\n'),
  );
  const bed = await startSync(t, { azurite, redis, blob: 'columns.csv', settings: { ttlSeconds: 1000 } });
  const { startedAt, written, deleted } = await bed.until('done');
  assert.deepEqual(await contents(), { a: 'last', b: 'two, 2', h: { x: '1', y: 'z' }, j: '{"x": 1}' });
  assert.deepEqual({ written, deleted }, { written: 5, deleted: 1 });
  const start = Date.parse(startedAt as string);
  assert.equal(await client.pexpiretime('b'), start + 60_000);
  assert.equal(await client.pexpiretime('j'), start + 90_000);
  assert.equal(await client.pexpiretime('a'), start + 1_000_000);
  assert.equal(await client.pexpiretime('h'), start + 1_000_000);
});

test('gzip by name and by content encoding', async (t) => {
  await client.flushall();
  const packed = gzipSync('a:1\nb:2\n');
  await azurite.upload('x.csv.gz', packed);
  await azurite.upload('y.csv', packed, { blobHTTPHeaders: { blobContentEncoding: 'gzip' } });
  const first = await startSync(t, { azurite, redis, blob: 'x.csv.gz' });
  await first.until('done');
  assert.deepEqual(await contents(), { a: '1', b: '2' });
  await client.flushall();
  const second = await startSync(t, { azurite, redis, blob: 'y.csv' });
  await second.until('done');
  assert.deepEqual(await contents(), { a: '1', b: '2' });
});

const none = { state: 'done', rows: 0, written: 0, skipped: 0 };
const edgeCases: readonly (readonly [
  what: string,
  content: Buffer | string,
  expected: object,
  status: object,
])[] = [
  ['zero rows', '\r\n\n', {}, none],
  ['an empty file', '', {}, none],
  ['one key twice: the last row wins', 'a:1\nb:2\na:3\n', { a: '3', b: '2' }, { state: 'done', written: 3 }],
  [
    'bytes that are not UTF-8: that row only',
    Buffer.concat([Buffer.from('a:1\nb:'), Buffer.from([0xff, 0xfe]), Buffer.from('\nc:3\n')]),
    { a: '1', c: '3' },
    { written: 2, skipped: 1, errors: [{ row: 2, reason: 'not UTF-8' }] },
  ],
  ['NUL bytes: kept', 'a\0:1\0\nb:2', { 'a\0': '1\0', b: '2' }, { written: 2, skipped: 0 }],
  [
    'an unclosed quote: its line only',
    'key,value\na,1\nb,"open\nc,3\n',
    { a: '1', c: '3' },
    { written: 2, skipped: 1, errors: [{ row: 3, reason: 'quote not closed' }] },
  ],
  ['a byte order mark', '\ufeffa:1\nb:2\n', { a: '1', b: '2' }, { written: 2 }],
  ['CR-only line ends', 'a:1\rb:2\rc:3', { a: '1', b: '2', c: '3' }, { written: 3 }],
];
for (const [what, content, expected, status] of edgeCases) {
  test(`an import of ${what}`, async (t) => {
    await client.flushall();
    const csvDelimiter = content.toString().startsWith('key,') ? 'comma' : 'auto';
    await azurite.upload('edge.csv', content);
    const bed = await startSync(t, { azurite, redis, blob: 'edge.csv', settings: { csvDelimiter } });
    const found = await bed.until('done');
    assert.deepEqual(await contents(), expected);
    assert.partialDeepStrictEqual(found, status);
  });
}

test(
  'an import of one value of 60 MB, and of a row longer than the limit',
  { timeout: 300_000 },
  async (t) => {
    await client.flushall();
    const value = Buffer.alloc(60_000_000, 'v');
    await azurite.upload(
      'large.csv',
      Buffer.concat([Buffer.from('a:1\nlarge:'), value, Buffer.from('\nb:2\n')]),
    );
    const bed = await startSync(t, {
      azurite,
      redis,
      blob: 'large.csv',
      settings: { redisCommandTimeoutMs: 5000 },
    });
    await bed.until('done', 140_000);
    assert.equal(await client.strlen('large'), value.length);
    assert.equal(await client.get('b'), '2');
    await bed.stop();
    await client.flushall();
    const limited = await startSync(t, {
      azurite,
      redis,
      blob: 'large.csv',
      settings: { maxRecordBytes: 1_000_000 },
    });
    const { errors } = await limited.until('done', 140_000);
    assert.deepEqual(await contents(), { a: '1', b: '2' });
    assert.deepEqual(errors, [{ row: 2, reason: 'longer than maxRecordBytes' }]);
  },
);

test('RS-25 RS-26 a restart or the same settings again run nothing; a new blob, a token, a wiped Redis do', async (t) => {
  await client.flushall();
  await azurite.upload('again.csv', 'a:1\n');
  const options = { azurite, redis, blob: 'again.csv' };
  const first = await startSync(t, options);
  await first.until('done');
  await first.stop();
  await client.set('a', 'changed by hand');
  const restarted = await startSync(t, options);
  await restarted.until('done');
  await restarted.stop();
  assert.equal(await client.get('a'), 'changed by hand');
  assert.ok(!restarted.lines.some((line) => line.includes('import starts')));

  const withToken = await startSync(t, { ...options, settings: { syncToken: '2' } });
  await withToken.until('done');
  await withToken.stop();
  assert.equal(await client.get('a'), '1');
  await client.flushall();
  const afterWipe = await startSync(t, { ...options, settings: { syncToken: '2' } });
  await afterWipe.until('done');
  assert.equal(await client.get('a'), '1');
  await afterWipe.stop();
  await azurite.upload('again.csv', 'a:2\n');
  const afterUpload = await startSync(t, { ...options, settings: { syncToken: '2' } });
  await afterUpload.until('done');
  assert.equal(await client.get('a'), '2');
});

test('a poll notices a new version of the blob', async (t) => {
  await client.flushall();
  await azurite.upload('polled.csv', 'a:1\n');
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'polled.csv',
    settings: { pollIntervalSeconds: 1 },
  });
  await bed.until('done');
  const etag = await azurite.upload('polled.csv', 'a:2\n');
  await bed.until((status) => status['etag'] === etag && status['state'] === 'done');
  assert.equal(await client.get('a'), '2');
});

test('RS-25 a new SAS alone runs nothing; after a refused one it brings the import about', async (t) => {
  await client.flushall();
  await azurite.upload('sas.csv', 'a:1\n');
  const expired = azurite.sas({ blob: 'sas.csv', expiresOn: new Date(Date.now() - 60_000) });
  const bed = await startSync(t, { azurite, redis, blob: 'sas.csv', settings: { blobSasToken: expired } });
  const failed = await bed.until('failed');
  assert.equal(failed['code'], 'SAS_EXPIRED');
  assert.equal(failed['ac'], 403);
  bed.applyLive({ blobSasToken: azurite.sas({ blob: 'sas.csv' }) });
  await bed.until('done');
  assert.equal(await client.get('a'), '1');
  await client.set('a', 'by hand');
  bed.applyLive({ blobSasToken: azurite.sas() });
  await bed.until('done');
  assert.equal(await client.get('a'), 'by hand');
});

test('RS-33 the signature of the SAS is in no line of the log and in no reported property', async (t) => {
  await azurite.upload('secret.csv', 'a:secret-value\n');
  for (const blobSasToken of [azurite.sas(), azurite.sas({ permissions: 'w' })]) {
    const bed = await startSync(t, {
      azurite,
      redis,
      blob: 'secret.csv',
      settings: { blobSasToken, syncToken: blobSasToken },
    });
    await bed.until(({ state }) => state === 'done' || state === 'failed');
    const sig = new URLSearchParams(blobSasToken).get('sig') ?? '';
    const said = [...bed.lines, ...bed.reports.map((report) => JSON.stringify(report))].join('');
    for (const secret of [sig, encodeURIComponent(sig), 'secret-value'])
      assert.ok(!said.includes(secret), secret);
    await bed.stop();
  }
});

const refusals: readonly (readonly [what: string, code: string, settings: () => Record<string, string>])[] = [
  [
    'a SAS without the permission to read',
    'SAS_PERMISSION',
    () => ({ blobSasToken: azurite.sas({ permissions: 'w' }) }),
  ],
  [
    'a SAS of another container',
    'SAS_REFUSED',
    () => ({ blobSasToken: azurite.sas({ container: 'other' }) }),
  ],
  ['a missing blob', 'BLOB_NOT_FOUND', () => ({ blobFileName: 'nowhere.csv' })],
  [
    'a missing container',
    'CONTAINER_NOT_FOUND',
    () => ({ blobContainerName: 'nowhere', blobSasToken: azurite.sas({ container: 'nowhere' }) }),
  ],
];
for (const [what, code, settings] of refusals) {
  test(`RS-32 ${what} ends the run with ${code}`, async (t) => {
    const bed = await startSync(t, { azurite, redis, settings: settings() });
    const status = await bed.until('failed');
    assert.equal(status['code'], code);
    assert.ok(Number(status['ac']) >= 400);
  });
}

test('an account that DNS does not know is waited for, and named', async (t) => {
  const bed = await startSync(t, {
    azurite,
    redis,
    settings: { blobEndpoint: 'http://no-such-account.invalid' },
  });
  const { code, message } = await bed.until('waiting');
  assert.equal(code, 'ACCOUNT_NOT_FOUND');
  assert.match(message as string, /storageAccountName or blobEndpoint/);
});

test('RS-31 RS-36 a SAS that is not valid yet is waited for, and one that soon expires is announced', async (t) => {
  await client.flushall();
  await azurite.upload('early.csv', 'a:1\n');
  const startsOn = new Date(Date.now() + 3000);
  const early = await startSync(t, {
    azurite,
    redis,
    blob: 'early.csv',
    settings: { blobSasToken: azurite.sas({ startsOn, expiresOn: new Date(Date.now() + 120_000) }) },
  });
  assert.equal((await early.until('waiting'))['code'], 'SAS_NOT_YET_VALID');
  const { warnings } = await early.until('done');
  assert.equal((warnings as { code: string }[])[0]?.code, 'SAS_EXPIRES_SOON');
});

test('RS-21 abort applies nothing after the bad row; RS-23 validateFirst nothing at all', async (t) => {
  const text = 'key,value\na,1\nb,2,3\nc,3\n';
  await azurite.upload('bad.csv', text);
  await client.flushall();
  const abort = await startSync(t, { azurite, redis, blob: 'bad.csv', settings: { errorMode: 'abort' } });
  const aborted = await abort.until('failed');
  assert.deepEqual(await contents(), { a: '1' });
  assert.partialDeepStrictEqual(aborted, { code: 'BAD_ROW', written: 1, skipped: 1 });
  await abort.stop();
  await client.flushall();
  await azurite.upload('bad.csv', `key,value\n${'k,v\n'.repeat(5000)}last,1,2\n`);
  const first = await startSync(t, {
    azurite,
    redis,
    blob: 'bad.csv',
    settings: { errorMode: 'validateFirst' },
  });
  assert.partialDeepStrictEqual(await first.until('failed'), { code: 'BAD_ROWS', skipped: 1, rows: 5001 });
  assert.deepEqual(await contents(), {});
  await first.stop();
  await azurite.upload('bad.csv', 'key,value\na,1\n');
  const good = await startSync(t, {
    azurite,
    redis,
    blob: 'bad.csv',
    settings: { errorMode: 'validateFirst' },
  });
  await good.until('done');
  assert.deepEqual(await contents(), { a: '1' });
});

test('RS-22 maxErrorRate ends the run', async (t) => {
  await azurite.upload('rate.csv', `key,value\n${'bad\n'.repeat(900)}${'a,1\n'.repeat(900)}`);
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'rate.csv',
    settings: { maxErrorRate: 0.1, batchRows: 100 },
  });
  const { code, errors } = await bed.until('failed');
  assert.equal(code, 'TOO_MANY_ERRORS');
  assert.equal((errors as unknown[]).length, 10);
});

test('RS-2 RS-3 an ambiguous file is refused with what to do, and the reported delimiter is the one chosen', async (t) => {
  await client.flushall();
  await azurite.upload('ambiguous.csv', 'pump1:52.1,4.3\npump2:50.0,4.1\n');
  const refused = await startSync(t, { azurite, redis, blob: 'ambiguous.csv' });
  const { code, message, ac } = await refused.until('failed');
  assert.deepEqual([code, ac], ['FORMAT_REFUSED', 400]);
  assert.match(message as string, /csvDelimiter/);
  await refused.stop();
  const told = await startSync(t, {
    azurite,
    redis,
    blob: 'ambiguous.csv',
    settings: { csvDelimiter: 'colon' },
  });
  assert.equal((await told.until('done'))['delimiter'], 'colon');
  assert.deepEqual(await contents(), { pump1: '52.1,4.3', pump2: '50.0,4.1' });
});

test('RS-29 RS-35 mirror deletes what the file no longer holds, within maxDeletePercent, and nothing of others', async (t) => {
  await client.flushall();
  await client.set('foreign', 'x');
  const keys = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => `k${from + index}:v\n`).join('');
  const options = { azurite, redis, blob: 'mirror.csv' };
  const settings = { mode: 'mirror', batchRows: 30 } as const;
  const round = async (content: string, more: object = {}) => {
    await azurite.upload('mirror.csv', content);
    const bed = await startSync(t, { ...options, settings: { ...settings, ...more } });
    const status = await bed.until(({ state }) => state === 'done' || state === 'failed');
    await bed.stop();
    return { status, count: (await client.keys('k*')).length };
  };
  assert.equal((await round(keys(0, 100))).count, 100);
  const fewer = await round(keys(5, 100));
  assert.equal(fewer.count, 95);
  assert.equal(fewer.status['deleted'], 5);
  const guarded = await round(keys(50, 100));
  assert.equal(guarded.count, 95);
  assert.equal(guarded.status['code'], 'DELETE_GUARD');
  // What the guard kept is still owned by the file.
  const allowed = await round(keys(50, 100), { maxDeletePercent: 60 });
  assert.equal(allowed.count, 50);
  const withBadRow = await round(`${keys(60, 100)}:bad\n`, { maxDeletePercent: 100, csvDelimiter: 'colon' });
  assert.deepEqual([withBadRow.count, withBadRow.status['code']], [50, 'MIRROR_SKIPPED']);
  assert.equal((await round('\n', { maxDeletePercent: 100 })).count, 0);
  assert.equal(await client.get('foreign'), 'x');
});

test('Sync, SyncStatus and CancelSync; a cancelled run stays where it is over a restart and Sync goes on with it', async (t) => {
  await client.flushall();
  const lines = Array.from({ length: 5000 }, (_, index) => `k${index}:v${index}`).join('\n');
  await azurite.upload('methods.csv', lines);
  const options = { azurite, redis, blob: 'methods.csv' };
  const settings = { maxRowsPerSecond: 2000, batchRows: 100 };
  const bed = await startSync(t, { ...options, settings });
  await bed.until(({ written }) => Number(written) >= 500);
  assert.equal((await bed.call('Sync')).status, 409);
  assert.equal((await bed.call('CancelSync')).status, 200);
  const cancelled = await bed.until('cancelled');
  assert.ok(Number(cancelled['written']) < 5000);
  assert.equal((await bed.call('CancelSync')).status, 409);
  await bed.stop();
  const again = await startSync(t, { ...options, settings });
  await again.until('cancelled');
  assert.equal((await again.call('Sync')).status, 202);
  const done = await again.until('done');
  assert.equal(done['written'], 5000);
  assert.ok(Number(done['resumes']) >= 1);
  assert.equal((await client.keys('k*')).length, 5000);
  await client.del('k1');
  assert.equal((await again.call('Sync', { ifChanged: true })).status, 202);
  await again.until('done');
  assert.equal(await client.exists('k1'), 0);
  await again.call('Sync');
  await again.until((status) => status['state'] === 'done' && status['resumes'] === 0);
  assert.equal(await client.get('k1'), 'v1');
  assert.equal((await again.call('Sync', { wrong: 1 })).status, 400);
});
