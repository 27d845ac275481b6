import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allFields } from '../../../modules/common/src/settings/settings-common.ts';
import { redisFields } from '../../../modules/common/src/redis/redis-settings.ts';
import { awaitSecretFiles } from '../../../modules/common/src/runner/secret-files.ts';

const fields = allFields({ name: 'any', fields: redisFields });

/** A clock that goes on by itself, and a file that is there from a moment on. */
function world(appearsAtMs: number) {
  let now = 0;
  const clock = {
    now: () => now,
    after(ms: number, callback: () => void) {
      now += ms;
      setImmediate(callback);
      return () => undefined;
    },
  };
  return { clock, exists: () => now >= appearsAtMs, now: () => now };
}

test('RD-6: a password file that the redis module makes a moment later is waited for', async () => {
  const { clock, exists, now } = world(1000);
  await awaitSecretFiles(fields, { REDIS_PASSWORD_FILE: '/secrets/redis' }, { exists, clock });
  assert.equal(now(), 1000);
});

test('a password file that never comes is waited for 5 s and no longer', async () => {
  const { clock, exists, now } = world(Infinity);
  await awaitSecretFiles(fields, { REDIS_PASSWORD_FILE: '/secrets/redis' }, { exists, clock });
  assert.equal(now(), 5000);
});

test('without a file of a secret nothing is waited for', async () => {
  const { clock, exists, now } = world(Infinity);
  await awaitSecretFiles(
    fields,
    { REDIS_CA_FILE: '/tls/ca.crt', REDIS_PASSWORD_FILE: '' },
    { exists, clock },
  );
  assert.equal(now(), 0);
});
