import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allFields, flag, integer, list, settingsTable, text } from '@iotedge-redis/common';
import { settingRows, settingsHelp } from '../../../../modules/common/src/settings/settings-table.ts';

const fields = {
  limitMs: integer({
    env: ['LIMIT_MS', 'LIMIT'],
    twin: 'limitMs',
    min: 1,
    default: 50,
    unit: 'ms',
    live: true,
    description: 'Longest time.',
  }),
  names: list({ env: 'NAMES', default: ['a', 'b|c'], description: 'Some\nnames.' }),
  token: text({ env: 'TOKEN', secret: true, description: 'A token.' }),
  on: flag({ env: 'ON', default: false, description: 'Whether.' }),
};

test('a table for the README has a row for each setting', () => {
  assert.equal(
    settingsTable(fields),
    [
      '| Environment | Twin | Form | Default | Meaning |',
      '| --- | --- | --- | --- | --- |',
      '| `LIMIT_MS` | `limitMs` | integer, at least 1 (ms) | `50` | Longest time. Also: `LIMIT`. Taken over while running. |',
      '| `NAMES` |  | texts, separated by commas | `a,b\\|c` | Some names. |',
      '| `TOKEN` |  | text |  | A token. Secret; also read from the file named by `TOKEN_FILE`. |',
      '| `ON` |  | true or false | `false` | Whether. |',
    ].join('\n'),
  );
});

test('the help for a terminal says the same', () => {
  assert.match(
    settingsHelp(fields),
    /^ {2}LIMIT_MS, twin limitMs\n {6}integer, at least 1 \(ms\); default 50\. Longest time\.\n {2}NAMES\n/,
  );
  assert.doesNotMatch(settingsHelp(fields), /undefined|null/);
});

test('a module has the common settings and its own', () => {
  const rows = settingRows(allFields({ name: 'm', fields }));
  assert.equal(rows[0]?.env, 'LOG_LEVEL');
  assert.deepEqual(
    rows.slice(-4).map(({ env }) => env),
    ['LIMIT_MS', 'NAMES', 'TOKEN', 'ON'],
  );
});

for (const [what, twice] of [
  ['name in code', { httpPort: flag({ env: 'OTHER', description: '' }) }],
  ['environment name', { other: flag({ env: ['OTHER', 'HTTP_PORT'], description: '' }) }],
  ['twin name', { other: flag({ env: 'OTHER', twin: 'logLevel', description: '' }) }],
] as const) {
  test(`a ${what} that is taken is a programming error`, () => {
    assert.throws(
      () => allFields({ name: 'm', fields: twice }),
      /declaring the settings of m: .* is declared twice/,
    );
  });
}
