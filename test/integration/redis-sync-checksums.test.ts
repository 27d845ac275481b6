import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { crc64 } from '../../modules/common/src/crc64.ts';
import { startAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

const ETAG = '"0x1"';
const ROWS = 100_000;
const content = Buffer.from(
  Array.from({ length: ROWS }, (_, index) => `key${index}:value-${index}-${'x'.repeat(20)}\n`).join(''),
);

interface Asked {
  readonly range: string;
  readonly wantsCrc64: boolean;
  readonly ifMatch: string | undefined;
}

/** Answers like Blob Storage, which states a CRC64 per range as Azurite does not; `damage` may change what is sent. */
async function startService(
  t: TestContext,
  damage: (body: Buffer, request: number) => Buffer,
): Promise<{ endpoint: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(({ method, headers }, answer) => {
    const common = { etag: ETAG, date: new Date().toUTCString(), 'x-ms-version': '2025-01-05' };
    const range = String(headers['x-ms-range'] ?? headers.range ?? '');
    const [, from = '0', to = String(content.length - 1)] = /bytes=(\d+)-(\d+)/.exec(range) ?? [];
    const body = content.subarray(Number(from), Number(to) + 1);
    if (method === 'HEAD') {
      answer.writeHead(200, { ...common, 'content-length': content.length }).end();
      return;
    }
    const wantsCrc64 = headers['x-ms-range-get-content-crc64'] === 'true';
    asked.push({ range, wantsCrc64, ifMatch: headers['if-match'] });
    answer.writeHead(206, {
      ...common,
      'content-length': body.length,
      'content-range': `bytes ${from}-${to}/${content.length}`,
      ...(wantsCrc64 ? { 'x-ms-content-crc64': crc64(body).toString('base64') } : {}),
    });
    answer.end(damage(body, asked.length));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { endpoint: `http://127.0.0.1:${address.port}/account`, asked };
}

test('RS-13 RS-15 every range is asked for with its CRC64 and the first ETag, and one that does not fit is fetched again', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const { endpoint, asked } = await startService(t, (body, request) => {
    if (request !== 2) return body;
    const damaged = Buffer.from(body);
    // Still a row, only another one: nothing but the checksum can tell.
    damaged[damaged.indexOf('x')] = 0x79;
    return damaged;
  });
  const bed = await startSync(t, { azurite, redis, blob: 'rows.csv', settings: { blobEndpoint: endpoint } });
  await bed.until('done', 60_000);
  assert.ok(asked.length > 2 && asked.every(({ wantsCrc64 }) => wantsCrc64));
  assert.ok(asked.every(({ ifMatch }) => ifMatch === ETAG));
  const second = asked[1]?.range ?? '';
  assert.equal(asked.filter(({ range }) => range === second).length, 2);
  assert.ok(
    bed.lines.some((line) => line.includes('BLOB_CORRUPT')),
    bed.lines.join(''),
  );
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  const sum = createHash('md5');
  for (let from = 0; from < ROWS; from += 10_000) {
    const values = await client.mget(Array.from({ length: 10_000 }, (_, at) => `key${from + at}`));
    values.forEach((value, at) => sum.update(`key${from + at}:${value ?? ''}\n`));
  }
  assert.equal(sum.digest('hex'), createHash('md5').update(content).digest('hex'));
});
