import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';

for (const [name, value] of [
  ['V8_FLAGS_WHEN_UP', ''],
  ['V8_FLAGS_WHEN_UP', '--no-maglev'],
  ['NODE_OPTIONS', '--max-semi-space-size=2'],
] as const) {
  test(`RD-17: ${name}=${value} of a module of ours goes through, since it is no setting but Node's`, async (t) => {
    const root = projectWith(t, (template) => {
      template.module('redis-client').env[name] = { value };
    });
    const findings = (await generateManifest({ root, platform: 'amd64', env: {} })).findings;
    assert.deepEqual(findings, []);
  });
}
