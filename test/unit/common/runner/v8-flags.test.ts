import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { createLog } from '@iotedge-redis/common';
import { readV8Flags, setV8Flags, tellRefused } from '../../../../modules/common/src/runner/v8-flags.ts';

function logLines(t: { lines: string[] }): ReturnType<typeof createLog> {
  return createLog({ write: (line) => void t.lines.push(line) });
}

test('flags are read with and without a value, with blanks around the commas', () => {
  assert.deepEqual(readV8Flags(' --heap-growing-percent=20 , --no-maglev,--nolazy '), {
    flags: ['--heap-growing-percent=20', '--no-maglev', '--nolazy'],
    refused: [],
  });
});

for (const empty of ['', ' ', ',', ' , ']) {
  test(`the list ${JSON.stringify(empty)} names no flag, and nothing is told`, () => {
    const lines: string[] = [];
    const asked = readV8Flags(empty);
    assert.deepEqual(asked, { flags: [], refused: [] });
    tellRefused(asked, logLines({ lines }));
    setV8Flags(asked.flags, logLines({ lines }));
    assert.deepEqual(lines, []);
  });
}

for (const entry of [
  'heap-growing-percent=20',
  '-no-maglev',
  '--',
  '"--no-maglev"',
  "'--no-maglev'",
  '--no-maglev;--no-opt',
  '--no-maglev --no-opt',
  '--heap-growing-percent=',
  '--heap-growing-percent 20',
  '--heap_growing_percent=20',
  '--help',
  '--help=x',
  '--version',
  '--print-flag-values',
  '--maglev-print-inlined',
  '--trace-gc',
  '--dump-wasm-module',
  '--log',
  '--logfile=x.log',
  '--abort-on-uncaught-exception',
  '--exit-on-contradictory-flags',
]) {
  test(`an entry ${entry} is left out, and the ones beside it are set`, () => {
    assert.deepEqual(readV8Flags(`--no-opt,${entry},--no-maglev`), {
      flags: ['--no-opt', '--no-maglev'],
      refused: [2],
    });
  });
}

test('all entries that are left out get one warning, with the variable and its form, and without their text', () => {
  const lines: string[] = [];
  tellRefused(readV8Flags('"hunter2",--no-maglev,--help'), logLines({ lines }));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /WRN.*V8_FLAGS_WHEN_UP.*--name=value.*"entries":\[1,3\]/);
  assert.doesNotMatch(lines[0] ?? '', /hunter2/);
});

test('a flag that changed nothing is told with the variable, one that did is not', (t) => {
  t.after(() => setFlagsFromString('--heap-growing-percent=0'));
  const lines: string[] = [];
  setV8Flags(
    ['--heap-growing-percent=20', '--no-such-flag', '--heap-growing-percent=20'],
    logLines({ lines }),
  );
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? '',
    /INF.*V8_FLAGS_WHEN_UP.*"flags":\["--no-such-flag","--heap-growing-percent=20"\]/,
  );
});
