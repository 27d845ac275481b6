import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Ajv from 'ajv';
import { generateManifest } from '../../../build/manifest/generate.ts';

const root = join(import.meta.dirname, '../../..');
const folder = join(root, 'test', 'schemas');
const read = (file: string): object => JSON.parse(readFileSync(file, 'utf8')) as object;
const schema = (name: string): object => read(join(folder, `${name}.json`));

/** Draft 04, as the published schemas are. */
function validator(): InstanceType<typeof Ajv> {
  const ajv = new Ajv({ schemaId: 'id', meta: false, logger: false, allErrors: true });
  ajv.addMetaSchema(read(join(root, 'node_modules', 'ajv', 'lib', 'refs', 'json-schema-draft-04.json')));
  // The schemas name each other by this address, whatever their own id says.
  for (const name of ['azure-iot-edgeagent-deployment-1.1', 'azure-iot-edgehub-deployment-1.1'])
    ajv.addSchema({ ...schema(name), id: `https://json.schemastore.org/${name}.json` });
  return ajv;
}

for (const name of ['deployment.template.json', 'deployment.debug.template.json']) {
  test(`${name} holds to the published schema of its $schema-template, before anything is filled in`, () => {
    const template = read(join(root, name));
    assert.equal((template as { '$schema-template': string })['$schema-template'], '3.0.0');
    const ajv = validator();
    const holds = ajv.validate(schema('azure-iot-edge-deployment-template-3.0'), template);
    assert.equal(holds, true, JSON.stringify(ajv.errors, null, 1));
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
    const ajv = validator();
    const holds = ajv.validate(schema('azure-iot-edge-deployment-2.0'), JSON.parse(text));
    assert.equal(holds, true, JSON.stringify(ajv.errors, null, 1));
  });
}

test('the published schema refuses a manifest that is wrong, as it should to be worth asking', () => {
  assert.equal(validator().validate(schema('azure-iot-edge-deployment-2.0'), { modulesContent: {} }), false);
});
