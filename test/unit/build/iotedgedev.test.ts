import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { expandTemplate } from '../../../local-edge/src/manifest/expand-template.ts';
import { readTemplate } from '../../../local-edge/src/manifest/read-template.ts';

const folder = join(import.meta.dirname, '../../fixtures/iotedgedev');

test('a template becomes what iotedgedev 3.3.9 made of it, pieces of createOptions and order of keys included', async () => {
  const input = await readTemplate({
    templatePath: join(folder, 'deployment.template.json'),
    envPath: join(folder, 'variables.env'),
    platform: 'amd64',
    env: {},
  });
  const { manifest, findings } = expandTemplate(input);
  assert.deepEqual(findings, []);
  const recorded: unknown = JSON.parse(readFileSync(join(folder, 'deployment.amd64.json'), 'utf8'));
  assert.deepEqual(manifest, recorded);
  assert.equal(JSON.stringify(manifest), JSON.stringify(recorded));
});
