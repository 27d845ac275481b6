import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Format } from '../../../modules/redis-sync/src/csv/format.ts';
import { createRowMapper } from '../../../modules/redis-sync/src/rows/row-mapping.ts';
import type { MappedRow, RowDefaults } from '../../../modules/redis-sync/src/rows/row-mapping.ts';

const five: Format = { delimiter: 'comma', hasHeader: false, columns: ['key', 'value', 'ttl', 'type', 'op'] };

function show(mapped: MappedRow): string {
  if ('reason' in mapped) return mapped.reason;
  const { op, data, keyStart, keyEnd, valueStart, valueEnd, ttlSeconds, fields } = mapped;
  const content = fields?.map(String).join('|') ?? data.toString('utf8', valueStart, valueEnd);
  return `${op} ${data.toString('utf8', keyStart, keyEnd)}=${content} ttl ${ttlSeconds}`;
}

const cases: readonly (readonly [
  fields: readonly string[],
  expected: string,
  defaults?: Partial<RowDefaults>,
])[] = [
  [['k', 'v'], 'set k=v ttl 0'],
  [['k', ''], 'set k= ttl 0'],
  [['k', 'v', '60'], 'set k=v ttl 60'],
  [['k', 'v', ' 60 '], 'set k=v ttl 60'],
  [['k', 'v', ''], 'set k=v ttl 30', { ttlSeconds: 30 }],
  [['k', 'v', '0'], 'set k=v ttl 0', { ttlSeconds: 30 }],
  [['k', 'v', '1.5'], 'ttl is not a whole number of seconds from 0 to a hundred years'],
  [['k', 'v', '-1'], 'ttl is not a whole number of seconds from 0 to a hundred years'],
  [['k', 'v', '9999999999'], 'ttl is not a whole number of seconds from 0 to a hundred years'],
  [['', 'v'], 'empty key'],
  [['k'], '1 field where 2 are expected'],
  [['k', 'v', '', '', '', 'x'], '6 fields where 5 are expected'],
  [['k', '', '', '', 'del'], 'del k= ttl 0'],
  [['k', 'v', '', '', 'SET'], 'set k=v ttl 0'],
  [['k', 'v', '', '', 'drop'], 'op is neither set nor del'],
  [['k', '{"a":1}', '', 'json'], 'set k={"a":1} ttl 0'],
  [['k', '{a:1}', '', 'json'], 'value is not JSON'],
  [
    ['k', '{"a":1,"b":"x","c":{"d":[1]},"e":null,"f":true}', '', 'hash'],
    'hash k=a|1|b|x|c|{"d":[1]}|f|true ttl 0',
  ],
  [['k', '[1]', '', 'hash'], 'value of a hash is not a JSON object'],
  [['k', 'x', '', 'hash'], 'value is not JSON'],
  [['k', '{}', '', 'hash'], 'a hash without fields'],
  [['k', '{"a":1}', '', ''], 'hash k=a|1 ttl 0', { valueType: 'hash' }],
  [['k', '1', '', 'string'], 'set k=1 ttl 0', { valueType: 'hash' }],
  [['k', 'v', '', 'list'], 'type is none of string, hash and json'],
];
for (const [fields, expected, defaults] of cases) {
  test(`maps ${JSON.stringify(fields)} to: ${expected}`, () => {
    const map = createRowMapper(five, { valueType: 'string', ttlSeconds: 0, ...defaults });
    assert.equal(
      show(
        map(
          fields.map((field) => Buffer.from(field)),
          1,
        ),
      ),
      expected,
    );
  });
}

test('a column per field makes a hash, with empty cells as empty fields', () => {
  const format: Format = {
    delimiter: 'comma',
    hasHeader: true,
    columns: ['field:name', 'key', 'field:age', 'ttl'],
  };
  const map = createRowMapper(format, { valueType: 'hash', ttlSeconds: 0 });
  assert.equal(
    show(
      map(
        ['Ann', 'k', '', '5'].map((text) => Buffer.from(text)),
        1,
      ),
    ),
    'hash k=name|Ann|age| ttl 5',
  );
  assert.equal(
    show(
      map(
        ['Ann', 'k', '5'].map((text) => Buffer.from(text)),
        1,
      ),
    ),
    '3 fields where 4 are expected',
  );
});
