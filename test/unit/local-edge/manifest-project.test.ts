import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { expandTemplate } from '../../../local-edge/src/manifest/expand-template.ts';
import { readTemplate } from '../../../local-edge/src/manifest/read-template.ts';

const root = join(import.meta.dirname, '../../..');
const modules = readdirSync(join(root, 'modules')).filter((name) => name !== 'common');

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

for (const module of modules) {
  test(`the Dockerfiles of ${module} differ in platform, Node's release and the debugger only`, () => {
    const folder = join(root, 'modules', module);
    const files = readdirSync(folder).filter((file) => file.startsWith('Dockerfile.'));
    const texts = files.map((file) =>
      readFileSync(join(folder, file), 'utf8')
        .replaceAll(file, 'Dockerfile')
        .replaceAll(/--platform=\S+/g, '--platform')
        .replaceAll(/node:\d+-/g, 'node:N-')
        .replace(/^# Node 24 has no images.*\n/m, '')
        .replace('EXPOSE 9600 9229', 'EXPOSE 9600')
        .replace('"--inspect=0.0.0.0:9229", "--enable-source-maps", ', ''),
    );
    assert.equal(new Set(texts).size, 1);
    assert.deepEqual(
      files.sort(),
      ['amd64', 'amd64.debug', 'arm32v7', 'arm64v8', 'arm64v8.debug'].map(
        (platform) => `Dockerfile.${platform}`,
      ),
    );
  });
}
