import { deepEqual, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTlsFiles } from '../../../modules/common/src/tls-files.ts';

test('gives the bytes of the files that are named, and nothing for the others', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, 'first');
  deepEqual(readTlsFiles('X', {}), {});
  deepEqual(readTlsFiles('X', { caFile, serverName: 'a' }), { ca: Buffer.from('first'), servername: 'a' });
  writeFileSync(caFile, 'second');
  deepEqual(readTlsFiles('X', { caFile }), { ca: Buffer.from('second') }, 'read anew each time');
});

test('names the setting and the path of a file that cannot be read', () => {
  throws(() => readTlsFiles('MQTT', { keyFile: '/nowhere/key.pem' }), {
    code: 'CONFIG_INVALID',
    message: /MQTT_KEY_FILE.*\/nowhere\/key\.pem/,
  });
});
