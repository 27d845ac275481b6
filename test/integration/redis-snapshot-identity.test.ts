import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
import type { JsonObject } from '@iotedge-redis/common';
import { bundle } from '../../build/bundle.ts';
import { createCertificates } from '../../local-edge/src/certificates.ts';
import type { SnapshotSettings } from '../../modules/redis-snapshot/src/settings.ts';
import { startAzurite } from '../helpers/azurite.ts';
import { dumpAll, fillBulk } from '../helpers/mixed-data.ts';
import {
  startMetadataService,
  startStorageFront,
  startTokenAuthority,
  storageToken,
} from '../helpers/managed-identity.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSnapshot, tempDir } from '../helpers/snapshot-bed.ts';

const folder = mkdtempSync(join(tmpdir(), 'identity-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const certificates = await createCertificates(folder);
setDefaultCACertificates([...getCACertificates(), certificates.caPem]);
const storage = await startAzurite(undefined, {
  certFile: join(folder, 'server.pem'),
  keyFile: join(folder, 'server-key.pem'),
});
after(() => storage.stop());
/** What the machine's identity gets; undefined while none is assigned. One for all tests: the SDK looks for its address once. */
let given: string | undefined;
const metadata = await startMetadataService(() => given);
after(() => metadata.stop());
process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] = metadata.address;

const CLIENT_ID = '11111111-2222-4333-8444-555555555555';
const byIdentity: Partial<SnapshotSettings> = {
  storageAuth: 'managedIdentity',
  copyStorageAuth: 'managedIdentity',
  blobSasToken: undefined,
  managedIdentityClientId: CLIENT_ID,
  stallTimeoutMs: 10_000,
};

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`expected a text, found ${JSON.stringify(value)}`);
  return value;
}

test('SN-26 export, copy and import by the identity of a VM: each request has its token, and a copy that of its source', async (t) => {
  const token = storageToken();
  const front = await startStorageFront(t, storage, certificates, token);
  const there = await storage.createContainer('identity-dr');
  const [source, target] = await Promise.all([startRedis(t), startRedis(t)]);
  await fillBulk(source.port, 300, 5000);
  const bed = await startSnapshot(t, {
    ...{ azurite: storage, redis: source, stateDir: await tempDir(t) },
    settings: {
      ...byIdentity,
      ...{ blobEndpoint: front.endpoint, copyBlobEndpoint: front.endpoint },
      copyBlobContainerName: there.container,
    },
  });
  const dr = await startSnapshot(t, {
    ...{ azurite: there, redis: target, stateDir: await tempDir(t) },
    settings: { ...byIdentity, blobEndpoint: front.endpoint },
  });
  const runId = await bed.begin('Export');
  const waiting = await bed.until(runId, 'waiting');
  assert.equal(waiting['code'], 'IDENTITY_UNAVAILABLE', 'no identity is assigned to the machine yet');
  assert.equal(front.seen.length, 0, 'nothing is sent without a token');
  given = token;
  await bed.until(runId, 'done');
  await bed.run('Copy');
  await dr.run('Import');
  assert.deepEqual(await dumpAll(target.port), await dumpAll(source.port));
  for (const { path, headers } of front.seen) {
    assert.equal(headers.authorization, `Bearer ${token}`);
    assert.doesNotMatch(path, /sig=/);
  }
  const copied = front.seen.filter(({ headers }) => headers['x-ms-copy-source'] !== undefined);
  assert.ok(copied.length > 0);
  for (const { headers } of copied) {
    assert.equal(headers['x-ms-copy-source-authorization'], `Bearer ${token}`);
    assert.doesNotMatch(String(headers['x-ms-copy-source']), /\?/);
  }
  const [first] = metadata.queries;
  assert.deepEqual(
    [first?.get('resource'), first?.get('client_id')],
    ['https://storage.azure.com', CLIENT_ID],
  );
  assert.ok(!bed.lines.some((line) => line.includes(token)), 'no line of the log holds the token');

  const { snapshot } = (await bed.until(runId, 'done'))['result'] as JsonObject;
  const blob = `snapshots/${textOf(snapshot)}.rdb`;
  await storage.upload(blob, await storage.download(blob));
  await there.remove(blob);
  await there.remove(`snapshots/${textOf(snapshot)}.manifest.json`);
  const whole = await bed.until(await bed.begin('Copy'), 'failed');
  assert.equal(whole['code'], 'CONFIG_INVALID', 'a whole blob cannot be copied by a token');
  assert.match(textOf(whole['message']), /storageAuth.*blobSasToken/);
});

test('SN-26 a token that the storage refuses is named as that, with the role to assign', async (t) => {
  given = 'not-a-token';
  const bed = await startSnapshot(t, {
    ...{ azurite: storage, redis: await startRedis(t) },
    settings: { ...byIdentity, managedIdentityClientId: undefined },
  });
  const { code, message } = await bed.until(await bed.begin('Export'), 'failed');
  assert.equal(code, 'IDENTITY_REFUSED');
  assert.match(textOf(message), /Storage Blob Data Contributor/);
  assert.equal(metadata.queries.at(-1)?.has('client_id'), false);
});

test('SN-26 a pod of AKS gets its token for the one of its service account, and asks once for many requests', async (t) => {
  const authority = await startTokenAuthority(t, certificates, storageToken());
  const file = join(await tempDir(t), 'token');
  writeFileSync(file, 'token-of-the-service-account');
  const ofPod = {
    AZURE_CLIENT_ID: CLIENT_ID,
    AZURE_TENANT_ID: 'ab1f708d-50f6-404c-a006-d71b2ac7a606',
    AZURE_FEDERATED_TOKEN_FILE: file,
    AZURE_AUTHORITY_HOST: authority.address,
  };
  Object.assign(process.env, ofPod);
  t.after(() => Object.keys(ofPod).forEach((name) => Reflect.deleteProperty(process.env, name)));
  given = undefined;
  const bed = await startSnapshot(t, {
    ...{ azurite: storage, redis: await startRedis(t), stateDir: await tempDir(t) },
    settings: { ...byIdentity, managedIdentityClientId: undefined },
  });
  await bed.run('Export');
  assert.equal(authority.asked.length, 1);
  const [asked] = authority.asked;
  assert.deepEqual(
    ['client_id', 'client_assertion', 'scope'].map((name) => asked?.get(name)?.split(' ')[0]),
    [CLIENT_ID, 'token-of-the-service-account', 'https://storage.azure.com/.default'],
  );
});

test('SN-26 the bundle of an image does not hold the package; without it the error says the setting, the package and what to do', async (t) => {
  const redis = await startRedis(t);
  const main = await bundle('redis-snapshot', { outdir: join(await tempDir(t), 'bundle') });
  const run = promisify(execFile)(process.execPath, [main, 'export'], {
    env: {
      PATH: process.env['PATH'],
      REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
      STATE_DIR: await tempDir(t),
      BLOB_ENDPOINT: storage.endpoint,
      BLOB_CONTAINER_NAME: storage.container,
      STORAGE_AUTH: 'managedIdentity',
    },
  });
  const failed: unknown = await run.catch((error: unknown) => error);
  assert.ok(failed instanceof Error && 'stdout' in failed, 'the command fails');
  const result = JSON.parse(String(failed.stdout)) as JsonObject;
  assert.deepEqual([result['state'], result['code']], ['failed', 'CONFIG_INVALID']);
  assert.match(textOf(result['message']), /storageAuth is managedIdentity.*@azure\/identity.*README/);
});
