import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createLog, systemClock } from '@iotedge-redis/common';
import { Patience } from '@iotedge-redis/common/blob';
import { keepInput } from '../../../modules/redis-snapshot/src/import/kept-input.ts';
import type { RdbInput } from '../../../modules/redis-snapshot/src/import/rdb-input.ts';

/** Longer than the pieces in which it is read back. */
const CONTENT = Buffer.alloc(3_500_000, 'content of a file, ');

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kept-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Remembers from where it was read. */
function sourceOf(reads: number[]): RdbInput {
  const input: RdbInput = {
    name: 'a blob',
    version: '1',
    isGzip: false,
    async *read(offset) {
      reads.push(offset);
      for (let at = offset; at < CONTENT.length; at += 600_000) {
        await Promise.resolve();
        yield CONTENT.subarray(at, at + 600_000);
      }
    },
    by: () => input,
  };
  return input;
}

async function all(input: RdbInput, offset: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of input.read(offset)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function watched(): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = [];
  return { lines, log: createLog({ level: 'info', write: (line) => lines.push(line) }) };
}

test('SN-10 what was read to its end is read again from the volume, from any place, whoever asks', async (t) => {
  const path = await folder(t);
  const reads: number[] = [];
  const { lines, log } = watched();
  const input = keepInput(sourceOf(reads), join(path, 'spool', 'run-0.import'), log);
  assert.deepEqual(await all(input, 0), CONTENT);
  const { signal } = new AbortController();
  const patience = new Patience({ signal, clock: systemClock, maxPauseMs: 10, onWaiting: () => undefined });
  for (const offset of [0, 1, 1_048_576, 3_499_999, CONTENT.length]) {
    assert.deepEqual(await all(input, offset), CONTENT.subarray(offset), String(offset));
    assert.deepEqual(await all(input.by(patience), offset), CONTENT.subarray(offset));
  }
  assert.deepEqual(reads, [0]);
  assert.deepEqual(await readdir(join(path, 'spool')), [], 'a kill leaves nothing on the volume');
  await input.close();
  assert.deepEqual(await all(input, 5), CONTENT.subarray(5));
  assert.deepEqual(reads, [0, 5]);
  assert.deepEqual(lines, []);
});

test('two readings at once get the same', async (t) => {
  const input = keepInput(sourceOf([]), join(await folder(t), 'run-0.import'), watched().log);
  await all(input, 0);
  const found = await Promise.all([all(input, 0), all(input, 1_000_000)]);
  await input.close();
  assert.deepEqual(found, [CONTENT, CONTENT.subarray(1_000_000)]);
});

test('what was not read to its end, or from its beginning, is fetched again', async (t) => {
  const reads: number[] = [];
  const input = keepInput(sourceOf(reads), join(await folder(t), 'run-0.import'), watched().log);
  assert.equal((await all(input, 100)).length, CONTENT.length - 100);
  for await (const piece of input.read(0)) {
    assert.ok(piece.length > 0);
    break;
  }
  assert.deepEqual(await all(input, 0), CONTENT);
  assert.deepEqual(reads, [100, 0, 0]);
  await input.close();
});

test('without a folder, or where the volume takes nothing, everything is fetched again, and the second is said', async (t) => {
  const path = join(await folder(t), 'file');
  await writeFile(path, 'no folder');
  for (const place of [undefined, join(path, 'run-0.import')]) {
    const reads: number[] = [];
    const { lines, log } = watched();
    const input = keepInput(sourceOf(reads), place, log);
    for (let time = 0; time < 2; time += 1) assert.deepEqual(await all(input, 0), CONTENT);
    assert.deepEqual(reads, [0, 0]);
    assert.equal(lines.length, place === undefined ? 0 : 1);
    await input.close();
  }
});
