import { doesNotThrow, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { checkAccess } from '../../../modules/redis-client/src/access.ts';

test('RC-32: refuses the own keys of the suite for reading and writing, whatever is allowed', () => {
  const rules = { allowedKeys: ['*'], readOnly: false };
  throws(() => checkAccess(rules, 'iotedge-redis:redis-sync:x', false), { code: 'REDIS_DENIED' });
  throws(() => checkAccess(rules, 'iotedge-redis:', true), { code: 'REDIS_DENIED' });
  doesNotThrow(() => checkAccess(rules, 'iotedge-redis', true));
});

test('RC-32: readOnly refuses writes and lets reads through', () => {
  const rules = { allowedKeys: [], readOnly: true };
  throws(() => checkAccess(rules, 'a', true), /readOnly/);
  doesNotThrow(() => checkAccess(rules, 'a', false));
});

test('RC-32: allowedKeys narrows reads and writes to its patterns', () => {
  const rules = { allowedKeys: ['a:*', 'b'], readOnly: false };
  doesNotThrow(() => checkAccess(rules, 'a:1', true));
  doesNotThrow(() => checkAccess(rules, 'b', false));
  throws(() => checkAccess(rules, 'c', false), /allowedKeys/);
  throws(() => checkAccess(rules, 'bb', true), /allowedKeys/);
});
