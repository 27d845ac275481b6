import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { refusals } from '../../../build/manifest/published-schemas.ts';

const root = join(import.meta.dirname, '../../..');
const read = (file: string): object => JSON.parse(readFileSync(join(root, file), 'utf8')) as object;

for (const name of ['deployment.template.json', 'deployment.debug.template.json']) {
  test(`${name} holds to the published schema of its $schema-template, before anything is filled in`, () => {
    const template = read(name);
    assert.equal((template as { '$schema-template': string })['$schema-template'], '3.0.0');
    assert.deepEqual(refusals('azure-iot-edge-deployment-template-3.0', template), []);
  });
}

for (const isDebug of [false, true]) {
  test(`the ${isDebug ? 'debug ' : ''}manifest holds to the published schema of deployments`, async () => {
    const { text = '' } = await generateManifest({
      root,
      isDebug,
      platform: 'amd64',
      envPath: join(root, '.env.template'),
      env: {},
    });
    assert.deepEqual(refusals('azure-iot-edge-deployment-2.0', JSON.parse(text)), []);
  });
}

test('the published schema refuses a manifest that is wrong, as it should to be worth asking', () => {
  const refused = refusals('azure-iot-edge-deployment-2.0', { modulesContent: {} });
  assert.deepEqual(
    refused.map(({ path, property }) => [...path, property]),
    [
      ['modulesContent', '$edgeAgent'],
      ['modulesContent', '$edgeHub'],
    ],
  );
});
