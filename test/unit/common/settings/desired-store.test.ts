import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { createLog, text } from '@iotedge-redis/common';
import type { DesiredStore } from '../../../../modules/common/src/settings/desired-store.ts';
import { createDesiredStore } from '../../../../modules/common/src/settings/desired-store.ts';

const fields = {
  endpoint: text({ env: 'ENDPOINT', twin: 'endpoint', description: '' }),
  token: text({ env: 'TOKEN', twin: 'token', secret: true, description: '' }),
};

interface Bench {
  readonly folder: string;
  readonly file: string;
  readonly lines: string[];
  readonly open: (instance?: string) => DesiredStore;
}

async function bench(t: TestContext): Promise<Bench> {
  const base = await mkdtemp(join(tmpdir(), 'state-'));
  t.after(() => rm(base, { recursive: true, force: true }));
  const folder = join(base, 'not', 'there', 'yet');
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  return {
    folder,
    file: join(folder, 'desired-redis-client.json'),
    lines,
    open: (instance = 'redis-client') => createDesiredStore(folder, instance, fields, log),
  };
}

test('what is saved is there after a restart', async (t) => {
  const { open, lines } = await bench(t);
  assert.equal(await open().load(), undefined);
  await open().save({ version: 3, properties: { endpoint: 'redis:6379', list: [1, { a: null }] } });
  assert.deepEqual(await open().load(), {
    version: 3,
    properties: { endpoint: 'redis:6379', list: [1, { a: null }] },
  });
  assert.deepEqual(lines, []);
});

test('the file is for its owner only, and so is its folder', async (t) => {
  const { open, file, folder } = await bench(t);
  await open().save({ version: 1, properties: {} });
  const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
  assert.deepEqual([await mode(file), await mode(folder)], [0o600, 0o700]);
});

test('secrets do not reach the disk: declared ones, and those inside of an address', async (t) => {
  const { open, file } = await bench(t);
  await open().save({
    version: 1,
    properties: {
      token: 'hunter2',
      endpoint: 'rediss://user:a@hunter2/b@redis:6380/0',
      more: { brokers: ['mqtt://u:hunter2@b'] },
    },
  });
  assert.doesNotMatch(await readFile(file, 'utf8'), /hunter2/);
  assert.deepEqual((await open().load())?.properties, {
    endpoint: 'rediss://redis:6380/0',
    more: { brokers: ['mqtt://b'] },
  });
});

test('the file is replaced as a whole, and what a crash left behind does not matter', async (t) => {
  const { open, file, folder } = await bench(t);
  await mkdir(folder, { recursive: true });
  await writeFile(`${file}.new`, 'half of a docum', { mode: 0o644 });
  await open().save({ version: 1, properties: {} });
  assert.deepEqual(await readdir(folder), ['desired-redis-client.json']);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('saves that overlap are written in order, and can be waited for', async (t) => {
  const { open } = await bench(t);
  const store = open();
  for (let version = 1; version <= 20; version += 1) void store.save({ version, properties: {} });
  await store.idle();
  assert.equal((await open().load())?.version, 20);
});

test('instances that share a volume do not share a file, and a name cannot lead out of the folder', async (t) => {
  const { open, folder } = await bench(t);
  await open('a').save({ version: 1, properties: {} });
  await open('../b').save({ version: 2, properties: {} });
  assert.equal((await open('a').load())?.version, 1);
  assert.deepEqual((await readdir(folder)).sort(), ['desired-.._b.json', 'desired-a.json']);
});

const unreadable: [string, string, RegExp][] = [
  ['is cut off', '{"format":1,"vers', /cannot be read/],
  ['has another format', '{"format":2,"version":1,"properties":{}}', /unknown form/],
  ['has no version', '{"format":1,"properties":{}}', /unknown form/],
  ['has no properties', '{"format":1,"version":1,"properties":null}', /unknown form/],
  ['has a list for properties', '{"format":1,"version":1,"properties":[1]}', /unknown form/],
  ['is no object', '5', /unknown form/],
];
for (const [what, content, expected] of unreadable) {
  test(`a file that ${what} is left aside and told`, async (t) => {
    const { open, file, folder, lines } = await bench(t);
    await mkdir(folder, { recursive: true });
    await writeFile(file, content);
    assert.equal(await open().load(), undefined);
    assert.match(lines.join(''), expected);
  });
}

test('a folder that cannot be written costs a warning and nothing else', async (t) => {
  const { open, folder, lines } = await bench(t);
  await mkdir(join(folder, '..'), { recursive: true });
  await writeFile(folder, 'a file in the place of the folder');
  await open().save({ version: 1, properties: {} });
  assert.match(lines.join(''), /could not be kept in STATE_DIR .*"path"/);
});
