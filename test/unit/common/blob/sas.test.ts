import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldProblem } from '@iotedge-redis/common';
import { blobError } from '../../../../modules/common/src/blob/blob-errors.ts';
import { parseSas, sasFacts } from '../../../../modules/common/src/blob/sas.ts';

const seed = 'sp=r&st=2024-06-26T08:45:22Z&se=2024-06-26T16:45:22Z&spr=https&sv=2022-11-02&sr=b&sig=XYZ%3D';

test('takes a SAS as it is, with a question mark, or at the end of a blob URL', () => {
  for (const given of [
    seed,
    `?${seed}`,
    ` ${seed}\n`,
    `https://abc.blob.core.windows.net/redis/update.csv?${seed}`,
  ]) {
    assert.equal(parseSas(given), seed);
  }
});

test('RS-33 refuses what is no SAS without repeating it', () => {
  for (const given of ['', 'secret', 'sp=r&se=x', 'sig=', 'sp=r sig=secret&sig=x']) {
    assert.throws(
      () => parseSas(given),
      (error: unknown) => error instanceof FieldProblem && !error.message.includes('secret'),
    );
  }
});

test('RS-31 reads what may be shown, and nothing else', () => {
  assert.deepEqual(sasFacts(seed), {
    permissions: 'r',
    startsAt: Date.UTC(2024, 5, 26, 8, 45, 22),
    expiresAt: Date.UTC(2024, 5, 26, 16, 45, 22),
  });
});

const during = Date.UTC(2024, 5, 26, 12);
const answers: readonly (readonly [
  status: number | undefined,
  code: string | undefined,
  at: number | undefined,
  reason: string,
  retryable: boolean,
])[] = [
  [403, 'AuthenticationFailed', Date.UTC(2024, 5, 27), 'SAS_EXPIRED', false],
  [403, 'AuthenticationFailed', Date.UTC(2024, 5, 25), 'SAS_NOT_YET_VALID', true],
  [403, 'AuthenticationFailed', during, 'SAS_REFUSED', false],
  // Without the service's clock nobody can say that it is too late.
  [403, 'AuthenticationFailed', undefined, 'SAS_REFUSED', false],
  [403, 'AuthorizationPermissionMismatch', during, 'SAS_PERMISSION', false],
  [401, undefined, during, 'SAS_REFUSED', false],
  [404, 'ContainerNotFound', during, 'CONTAINER_NOT_FOUND', false],
  [404, 'BlobNotFound', during, 'BLOB_NOT_FOUND', false],
  [409, 'BlobArchived', during, 'BLOB_CONFLICT', false],
  [412, 'ConditionNotMet', during, 'BLOB_CHANGED', false],
  [429, undefined, during, 'STORAGE_BUSY', true],
  [503, 'ServerBusy', during, 'STORAGE_BUSY', true],
  [500, 'InternalError', during, 'STORAGE_ERROR', true],
  [400, 'InvalidQueryParameterValue', during, 'REQUEST_INVALID', false],
  [undefined, 'ENOTFOUND', undefined, 'ACCOUNT_NOT_FOUND', true],
  [undefined, 'ECONNRESET', undefined, 'NETWORK_ERROR', true],
];
for (const [status, code, serviceTime, reason, retryable] of answers) {
  test(`RS-32 RS-36 maps ${status ?? 'no answer'} ${code ?? ''} to ${reason}`, () => {
    const error = blobError('reading x', { status, code, serviceTime }, sasFacts(seed));
    assert.equal(error.reason, reason);
    assert.equal(error.retryable, retryable);
    assert.ok(!error.message.includes('XYZ'));
  });
}
