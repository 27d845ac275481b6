import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkSettings,
  copyContainer,
  missingContainer,
  ownContainer,
} from '../../../modules/redis-snapshot/src/settings.ts';
import type { SnapshotSettings } from '../../../modules/redis-snapshot/src/settings.ts';
import { snapshotSettings } from '../../helpers/snapshot-bed.ts';

const base = { endpoint: '127.0.0.1', storageAccountName: 'abc', blobContainerName: 'redis' };
const sas = 'sp=r&sig=x';
const clientId = '11111111-2222-4333-8444-555555555555';

test('SN-26 a container is opened by a SAS or by a managed identity, each of the two on its own', () => {
  const place = { endpoint: 'https://abc.blob.core.windows.net', container: 'redis' };
  assert.equal(ownContainer(snapshotSettings(base)), undefined);
  assert.match(missingContainer(snapshotSettings(base)) ?? '', /blobSasToken \(or storageAuth\)/);
  assert.deepEqual(ownContainer(snapshotSettings({ ...base, blobSasToken: sas })), place);
  const identity = snapshotSettings({ ...base, storageAuth: 'managedIdentity' });
  assert.deepEqual(ownContainer(identity), place);
  assert.equal(copyContainer({ ...identity, copyStorageAccountName: 'abc' }), undefined);
  assert.deepEqual(
    copyContainer({
      ...identity,
      copyStorageAccountName: 'dr',
      copyBlobContainerName: 'c',
      copyBlobSasToken: sas,
    }),
    { endpoint: 'https://dr.blob.core.windows.net', container: 'c' },
  );
});

const contradictions: readonly (readonly [given: Partial<SnapshotSettings>, named: readonly string[]])[] = [
  [{ storageAuth: 'managedIdentity', managedIdentityClientId: clientId }, []],
  [{ storageAuth: 'managedIdentity', copyBlobSasToken: sas }, []],
  [{ blobSasToken: sas, blobEndpoint: 'http://azurite:10000/devstoreaccount1' }, []],
  [{ storageAuth: 'managedIdentity', blobSasToken: sas }, ['storageAuth']],
  [{ copyStorageAuth: 'managedIdentity', copyBlobSasToken: sas }, ['copyStorageAuth']],
  [{ storageAuth: 'managedIdentity', blobEndpoint: 'http://azurite:10000/a' }, ['blobEndpoint']],
  [{ copyStorageAuth: 'managedIdentity', copyBlobEndpoint: 'http://azurite:10000/a' }, ['copyBlobEndpoint']],
  [{ blobSasToken: sas, managedIdentityClientId: clientId }, ['managedIdentityClientId']],
];
for (const [given, named] of contradictions) {
  test(`SN-26 ${Object.keys(given).join(' and ')}: ${named.length === 0 ? 'go together' : `is refused by naming ${named.join()}`}`, () => {
    const mistakes = checkSettings(snapshotSettings({ ...base, ...given }));
    assert.deepEqual(
      mistakes.map(({ name }) => name),
      named,
    );
    assert.ok(mistakes.every(({ problem }) => !problem.includes(sas) && !problem.includes(clientId)));
  });
}
