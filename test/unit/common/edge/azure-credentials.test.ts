import assert from 'node:assert/strict';
import { test } from 'node:test';
import common from 'azure-iot-common';
import { systemClock } from '../../../../modules/common/src/clock.ts';
import { createCredentialIssuer } from '../../../../modules/common/src/edge/azure-credentials.ts';
import { SuiteError } from '../../../../modules/common/src/errors.ts';

const settings = { deviceId: "d'(1)", moduleId: 'm*', hubHostName: 'hub.example' };
const options = {
  clock: { ...systemClock, now: () => 1_700_000_000_900 },
  lifetimeMs: 3_600_000,
  timeoutMs: 1000,
};
const never = new AbortController().signal;

test('a token from a key is the one that the SDK makes', async () => {
  const key = Buffer.from('not a real key').toString('base64');
  for (const keyName of [undefined, 'owner']) {
    const auth = { kind: 'key', key, ...(keyName === undefined ? {} : { keyName }) } as const;
    const { token, ca } = await createCredentialIssuer({ ...settings, auth }, options)(never);
    const resource = common.encodeUriComponentStrict("hub.example/devices/d'(1)/modules/m*");
    const expected = common.SharedAccessSignature.create(
      resource,
      keyName ?? '',
      key,
      1_700_003_600,
    ).toString();
    const parts = (text: string): string[] => text.replace('SharedAccessSignature ', '').split('&').sort();
    assert.deepEqual(
      parts(token),
      parts(expected).filter((part) => part !== 'skn='),
    );
    assert.equal(ca, undefined);
  }
});

test('a certificate file that cannot be read is tried again later, and named by its variable', async () => {
  const auth = { kind: 'key', key: 'YWI=', caFile: '/nowhere/ca.pem' } as const;
  await assert.rejects(
    createCredentialIssuer({ ...settings, auth }, options)(never),
    (error: unknown) =>
      error instanceof SuiteError &&
      error.code === 'EDGE_UNAVAILABLE' &&
      error.retryable &&
      error.message.includes('EdgeModuleCACertificateFile'),
  );
});
