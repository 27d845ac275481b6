import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundledFiles } from '../../build/bundle.ts';
import { readImageModules } from '../../build/image-modules.ts';
import { bundledPackages } from '../../build/licences.ts';
import { bomOf, bomOfRepository } from '../../build/sbom.ts';

const root = join(import.meta.dirname, '../..');

test('the bill of materials of each image is whole: what is in the bundle, and nothing else', async () => {
  const whole = await bomOfRepository(root);
  for (const module of readImageModules(root)) {
    const bom = await bomOf(root, module, whole);
    assert.equal(bom.bomFormat, 'CycloneDX');
    assert.match(bom.specVersion, /^1\.\d$/);
    assert.match(bom.serialNumber, /^urn:uuid:[0-9a-f-]{36}$/);
    assert.equal(bom.metadata.component.name, module.title);
    const listed = bom.components.map(({ name, version }) => `${name}@${version}`);
    const bundled = bundledPackages(root, await bundledFiles(module.name));
    // A package may lie in several folders.
    const expectedPackages = new Set(bundled.map(({ name, version }) => `${name}@${version}`));
    assert.deepEqual(listed.toSorted(), [...expectedPackages].toSorted(), module.name);
    for (const expected of ['ioredis', 'pino', 'azure-iot-device', 'azure-iot-device-mqtt'])
      assert.ok(
        bom.components.some(({ name }) => name === expected),
        `${module.name}: ${expected}`,
      );
    for (const unexpected of ['esbuild', 'typescript', 'azurite'])
      assert.ok(!bom.components.some(({ name }) => name === unexpected), `${module.name}: ${unexpected}`);
    const refs = new Set([bom.metadata.component['bom-ref'], ...bom.components.map((one) => one['bom-ref'])]);
    assert.equal(refs.size, bom.components.length + 1, 'references are unique');
    for (const component of bom.components) {
      assert.ok('purl' in component && String(component.purl).startsWith('pkg:npm/'), component.name);
      assert.ok('licenses' in component && 'hashes' in component, `${component.name}: licence and hash`);
    }
    for (const { ref, dependsOn } of bom.dependencies)
      for (const one of [ref, ...dependsOn]) assert.ok(refs.has(one), `${one} is a component`);
  }
});
