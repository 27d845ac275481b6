import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dockerfile, platforms } from '../../../build/dockerfile.ts';
import { dockerfiles } from '../../../build/dockerfiles.ts';
import { readImageModules } from '../../../build/image-modules.ts';
import { only, readCopy, readStages } from '../../helpers/dockerfile.ts';

const root = join(import.meta.dirname, '../../..');
const generated = dockerfiles(root);
const modules = readImageModules(root);

test('the Dockerfiles are those that `npm run dockerfiles` writes', () => {
  for (const [path, content] of generated)
    assert.equal(readFileSync(join(root, path), 'utf8'), content, `${path}: run npm run dockerfiles`);
});

test('every module with a module.json has a Dockerfile for every platform that it names, and no other', () => {
  for (const { name, version } of modules) {
    const folder = join(root, 'modules', name);
    const { image } = JSON.parse(readFileSync(join(folder, 'module.json'), 'utf8')) as {
      image: { tag: { version: string; platforms: Record<string, string> }; contextPath: string };
    };
    assert.deepEqual(
      image.tag.platforms,
      Object.fromEntries(platforms.map((platform) => [platform, `./Dockerfile.${platform}`])),
    );
    assert.deepEqual(
      readdirSync(folder)
        .filter((file) => file.startsWith('Dockerfile'))
        .sort(),
      platforms.map((platform) => `Dockerfile.${platform}`),
    );
    assert.equal(image.contextPath, '../..', name);
    assert.equal(image.tag.version, version, `${name}: module.json and package.json name one version`);
  }
});

test('a folder of modules/ without a module.json gets no image', () => {
  assert.ok(existsSync(join(root, 'modules/common')));
  assert.ok(!modules.some(({ name }) => name === 'common'));
});

for (const path of generated.keys()) {
  test(`${path}: two stages, no root, Node is process 1, and the build needs no emulator`, () => {
    const [, build, final, ...more] = readStages(join(root, path));
    assert.ok(build !== undefined && final !== undefined);
    assert.deepEqual(more, []);
    // Without a platform of its own the stage runs on the builder's processor.
    assert.equal(only(build, 'FROM'), '${BUILD_IMAGE} AS build');
    assert.match(only(final, 'FROM'), /^--platform=linux\/(amd64|arm64|arm\/v7) \$\{BASE_IMAGE\}$/);
    assert.ok(!final.instructions.some(({ word }) => word === 'RUN'));
    assert.equal(only(final, 'USER'), '1000:1000');
    assert.equal(only(final, 'ENTRYPOINT'), '[]');
    const command = JSON.parse(only(final, 'CMD')) as string[];
    assert.equal(command[0], 'node');
    assert.equal(command.includes('--inspect=0.0.0.0:9229'), path.endsWith('.debug'));
    assert.equal(only(final, 'EXPOSE'), path.endsWith('.debug') ? '9600 9229' : '9600');
    for (const { word, text } of final.instructions)
      if (word === 'COPY')
        assert.equal(readCopy(text).from, 'build', 'only what was built goes into the image');
  });
}

test('the base image is of Node 24, and of 22 where 24 has none; either can be given with its digest', () => {
  for (const path of generated.keys()) {
    const [globals] = readStages(join(root, path));
    const args = globals?.instructions.map(({ word, text }) => `${word} ${text}`);
    const release = path.endsWith('.arm32v7') ? 22 : 24;
    assert.deepEqual(args, [
      'ARG BUILD_IMAGE=node:24-bookworm-slim',
      `ARG BASE_IMAGE=node:${release}-bookworm-slim`,
    ]);
  }
});

test('labels of the OCI name the image, its version, licence, source and revision', () => {
  const [, , final] = readStages(join(root, 'modules/redis-client/Dockerfile.amd64'));
  assert.ok(final !== undefined);
  const labels = Object.fromEntries(
    [...only(final, 'LABEL').matchAll(/org\.opencontainers\.image\.(\w+)="([^"]*)"/g)].map(
      ([, key = '', value = '']) => [key, value],
    ),
  );
  const { version, description } = modules.find(({ name }) => name === 'redis-client') ?? {};
  assert.deepEqual(labels, {
    title: 'iotedge-redis-client',
    description,
    version,
    licenses: 'MIT',
    source: '${SOURCE}',
    revision: '${REVISION}',
  });
});

test('all Dockerfiles begin with the same installation, so that it is done once for all images', () => {
  const installations = [...generated.values()].map((text) => /^WORKDIR[^]*?^RUN .*$/m.exec(text)?.[0]);
  assert.equal(new Set(installations).size, 1);
});

test('a new module gets Dockerfiles of its own name, in which its package is installed', () => {
  const text = dockerfile(
    {
      name: 'new',
      title: 'iotedge-new',
      description: 'A "new" one',
      version: '1.0.0',
      nodeFlags: [],
      v8FlagsWhenUp: [],
      hasStateFolder: false,
    },
    'arm64v8',
    ['new'],
  );
  assert.match(text, /^COPY modules\/new\/package\.json modules\/new\/$/m);
  assert.match(text, /--workspace=modules\/common --workspace=modules\/new$/m);
  assert.match(text, /image\.description="A \\"new\\" one"/);
  assert.match(text, /^CMD .*"modules\/new\/bundle\/main\.js"\]$/m);
});
