import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromSdkMessage, toSdkMessage } from '../../../../modules/common/src/edge/azure-message.ts';
import type { EdgeMessage } from '../../../../modules/common/src/edge/edge.ts';
import { SuiteError } from '../../../../modules/common/src/errors.ts';

const refusal = (text: RegExp) => (error: unknown) =>
  error instanceof SuiteError && error.code === 'EDGE_REFUSED' && text.test(error.message);

test('a message keeps its system and application properties on the way through the SDK', () => {
  const message: EdgeMessage = {
    data: Buffer.from('{}'),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    messageId: 'id 1',
    correlationId: 'c',
    properties: { 'my prop': 'a/b&c', empty: '' },
  };
  assert.deepEqual(fromSdkMessage(toSdkMessage('out', message, 'd/m')), message);
});

test('a message without properties stays without', () => {
  const message: EdgeMessage = { data: Buffer.alloc(0), properties: {} };
  assert.deepEqual(fromSdkMessage(toSdkMessage('out', message, 'd/m')), message);
});

test('a message that edgeHub would not take is refused before it is sent', () => {
  const big: EdgeMessage = { data: Buffer.alloc(256 * 1024), properties: {} };
  assert.throws(() => toSdkMessage('out', big, 'd/m'), refusal(/262144/));
  const wide: EdgeMessage = { data: Buffer.alloc(1), properties: { p: 'x'.repeat(70_000) } };
  assert.throws(() => toSdkMessage('out', wide, 'd/m'), refusal(/properties/));
  const torn: EdgeMessage = { data: Buffer.alloc(1), properties: { p: '\ud800' } };
  assert.throws(() => toSdkMessage('out', torn, 'd/m'), refusal(/Unicode/));
  assert.ok(toSdkMessage('out', { data: Buffer.alloc(256 * 1024 - 200), properties: {} }, 'd/m'));
});
