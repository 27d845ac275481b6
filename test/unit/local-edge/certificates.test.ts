import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createCertificates } from '../../../local-edge/src/certificates.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'certificates-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  return dir;
}

const day = 24 * 3600 * 1000;

test('the server certificate holds for loopback and extra names, by a CA of its own', async (t) => {
  const dir = folder(t);
  const { caPem, serverCertPem, caFile } = await createCertificates(dir, ['my-host']);
  const server = new X509Certificate(serverCertPem);
  assert.ok(server.verify(new X509Certificate(caPem).publicKey));
  for (const name of ['localhost', 'my-host']) assert.equal(server.checkHost(name), name);
  for (const address of ['127.0.0.1', '::1']) assert.ok(server.checkIP(address));
  assert.equal(statSync(join(dir, 'ca-key.pem')).mode & 0o777, 0o600);
  assert.equal(caFile, join(dir, 'ca.pem'));
});

test('certificates stay the same until they run out or a name is missing; the CA stays then', async (t) => {
  const dir = folder(t);
  const first = await createCertificates(dir);
  assert.equal((await createCertificates(dir)).serverCertPem, first.serverCertPem);
  const named = await createCertificates(dir, ['other']);
  assert.notEqual(named.serverCertPem, first.serverCertPem);
  assert.equal(named.caPem, first.caPem);
  const nextYear = await createCertificates(dir, ['other'], () => Date.now() + 360 * day);
  assert.notEqual(nextYear.serverCertPem, named.serverCertPem);
  assert.equal(nextYear.caPem, first.caPem);
  const inTenYears = await createCertificates(dir, ['other'], () => Date.now() + 3650 * day);
  assert.notEqual(inTenYears.caPem, first.caPem);
});
