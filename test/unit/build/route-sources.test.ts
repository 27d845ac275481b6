import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import type { Finding } from '../../../local-edge/src/manifest/finding.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import type { TestContext } from 'node:test';

async function findingsOf(t: TestContext, source: string): Promise<readonly Finding[]> {
  const root = projectWith(t, (template) => {
    template.routes['r'] = `FROM ${source} INTO $upstream`;
  });
  return (await generateManifest({ root, platform: 'amd64', env: {} })).findings;
}

for (const source of [
  '/mesages/modules/redis-client/*',
  '/mess*',
  '/outputs/entries',
  '/modules/redis-client/outputs/x',
  '/messages/module/redis-client/*',
  '/messages/*/outputs/x',
  '/messages/modules/redis-client/output/x',
  '/messages/modules/redis-client/inputs/x',
  '/twinChangeNotifications/redis-client',
  '/twinChangeNotification',
]) {
  test(`RD-27: a route from ${source}, where edgeHub has no messages, is found`, async (t) => {
    const findings = await findingsOf(t, source);
    assert.equal(findings.length, 1, JSON.stringify(findings));
    assert.match(findings[0]?.path ?? '', /\.routes\.r$/);
    assert.match(findings[0]?.problem ?? '', /no message comes from .*write \/\*, \/messages\/\*/);
  });
}

for (const source of [
  '/*',
  '/messages',
  '/messages/*',
  '/Messages/Modules/*',
  '/messages/modules/redis-client',
  '/messages/modules/redis-client/*',
  '/messages/modules/redis-client/outputs/*',
  '/messages/modules/redis-client/OUTPUTS/any',
  '/twinchangenotifications',
  '/twinChangeNotifications/*',
]) {
  test(`RD-27: a route from ${source} passes`, async (t) => {
    assert.deepEqual(await findingsOf(t, source), []);
  });
}
