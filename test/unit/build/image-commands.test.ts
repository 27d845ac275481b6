import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageRequest } from '../../../build/image-commands.ts';
import { imageCommands, printed } from '../../../build/image-commands.ts';

const module = (name: string) => ({
  name,
  folder: `modules/${name}`,
  repository: `registry.example/iotedge-${name}`,
  version: '1.2.3',
  platforms: {
    amd64: './Dockerfile.amd64',
    'amd64.debug': './Dockerfile.amd64.debug',
    arm64v8: './Dockerfile.arm64v8',
  },
  buildOptions: name === 'one' ? ['--add-host=proxy:10.0.0.1'] : [],
});
const modules = [module('one'), module('two')];
const request: ImageRequest = {
  platforms: ['amd64'],
  modules: [],
  push: false,
  containerTag: undefined,
  revision: 'abc',
  source: 'https://example.com/repo',
  extra: [],
};

test('every module is built from the root with the name that a template gets, and loaded into the engine', () => {
  assert.deepEqual(imageCommands('/repo', modules, request), [
    {
      image: 'registry.example/iotedge-one:1.2.3-amd64',
      args: [
        ...['buildx', 'build', '--file', 'modules/one/Dockerfile.amd64'],
        ...['--tag', 'registry.example/iotedge-one:1.2.3-amd64', '--build-arg', 'REVISION=abc'],
        ...['--build-arg', 'SOURCE=https://example.com/repo', '--provenance=false'],
        ...['--add-host=proxy:10.0.0.1', '--load', '.'],
      ],
    },
    {
      image: 'registry.example/iotedge-two:1.2.3-amd64',
      args: [
        ...['buildx', 'build', '--file', 'modules/two/Dockerfile.amd64'],
        ...['--tag', 'registry.example/iotedge-two:1.2.3-amd64', '--build-arg', 'REVISION=abc'],
        ...['--build-arg', 'SOURCE=https://example.com/repo', '--provenance=false'],
        ...['--load', '.'],
      ],
    },
  ]);
});

test('--push sends to the registry instead, a module name narrows, and further words go to docker', () => {
  const commands = imageCommands('/repo', modules, {
    ...request,
    push: true,
    modules: ['two'],
    containerTag: 'rc1',
    extra: ['--build-arg', 'BASE_IMAGE=node:24-bookworm-slim@sha256:00'],
  });
  assert.deepEqual(
    commands.map(({ image }) => image),
    ['registry.example/iotedge-two:1.2.3-rc1-amd64'],
  );
  assert.deepEqual(commands[0]?.args.slice(-4), [
    '--build-arg',
    'BASE_IMAGE=node:24-bookworm-slim@sha256:00',
    '--push',
    '.',
  ]);
});

test('platform all builds every platform of module.json', () => {
  const commands = imageCommands('/repo', modules, { ...request, platforms: ['all'], modules: ['one'] });
  assert.deepEqual(
    commands.map(({ image }) => image.replace(/.*:/, '')),
    ['1.2.3-amd64', '1.2.3-amd64.debug', '1.2.3-arm64v8'],
  );
});

test('an unknown module or platform is refused with those that there are', () => {
  assert.throws(() => imageCommands('/repo', modules, { ...request, modules: ['three'] }), {
    message: 'there is no module three; there are one, two',
  });
  assert.throws(() => imageCommands('/repo', modules, { ...request, platforms: ['arm32v7'] }), {
    message: 'one has no platform arm32v7 in its module.json; it has amd64, amd64.debug, arm64v8',
  });
});

test('what is printed can be typed into a shell', () => {
  assert.equal(
    printed({ image: '', args: ['buildx', 'build', '--build-arg', "A=it's $HOME"] }),
    "docker buildx build --build-arg 'A=it'\\''s $HOME'",
  );
});
