import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { expandTemplate } from '../../../local-edge/src/manifest/expand-template.ts';
import { readTemplate } from '../../../local-edge/src/manifest/read-template.ts';

const root = join(import.meta.dirname, '../../..');

for (const name of ['deployment.template.json', 'deployment.debug.template.json']) {
  for (const platform of ['amd64', 'arm64v8']) {
    test(`${name} expands for ${platform} with the values of .env.template alone`, async () => {
      const input = await readTemplate({
        templatePath: join(root, name),
        envPath: join(root, '.env.template'),
        platform,
        env: {},
      });
      assert.deepEqual(expandTemplate(input).findings, []);
    });
  }
}
