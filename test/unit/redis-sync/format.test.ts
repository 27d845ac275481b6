import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectFormat } from '../../../modules/redis-sync/src/csv/format.ts';
import type { FormatSettings } from '../../../modules/redis-sync/src/csv/format.ts';

const settings: FormatSettings = {
  csvDelimiter: 'auto',
  csvHeader: 'auto',
  valueType: 'string',
  maxRecordBytes: 1000,
};
const detect = (text: string, overrides: Partial<FormatSettings> = {}) =>
  detectFormat(Buffer.from(text), true, { ...settings, ...overrides });

const decided: readonly (readonly [what: string, text: string, delimiter: string, columns: string])[] = [
  ["the seed's file", 'key1:value1\nkey2:value2\nkey3:value3\n', 'colon', 'key,value'],
  ['values with colons', 'url:http://x\ntime:12:30\n', 'colon', 'key,value'],
  ['two columns by comma', 'a,1\nb,2\n', 'comma', 'key,value'],
  ['two columns by semicolon', 'a;1,5\nb;2\n', 'semicolon', 'key,value'],
  ['two columns by tab', 'a\t1\nb\t2\n', 'tab', 'key,value'],
  ['a comma inside quotes', 'a,"1,5"\nb,"2;3"\n', 'comma', 'key,value'],
  ['a header', 'key,value\na,http://x\nb,y:z\n', 'comma', 'key,value'],
  ['a header in capitals and another order', 'TTL;Value;Key\n5;a;b\n', 'semicolon', 'ttl,value,key'],
  ['a header over ragged rows', 'key,value,op\na,1\nb,2,del,x\n', 'comma', 'key,value,op'],
  ['a quoted header', '"key"\t"value"\na\t1\n', 'tab', 'key,value'],
  ['a header for deletions only', 'key,op\na,del\n', 'comma', 'key,op'],
  ['one row', 'a:b', 'colon', 'key,value'],
];
for (const [what, text, delimiter, columns] of decided) {
  test(`RS-2 finds the delimiter of ${what}`, () => {
    const result = detect(text);
    assert.ok(result !== undefined && 'format' in result, JSON.stringify(result));
    assert.equal(result.format.delimiter, delimiter);
    assert.equal(result.format.columns.join(), columns);
  });
}

const refused: readonly (readonly [what: string, text: string, found: RegExp])[] = [
  ['a comma and a colon in every record', 'pump1:52.1,4.3\npump2:50,1\n', /comma and colon fit equally well/],
  ['keys with colons', 'sensor:1,22\nsensor:2,23\n', /comma and colon/],
  ['no delimiter at all', 'abc\ndef\n', /no delimiter occurs equally often/],
  ['three columns without a header', 'a,1,60\nb,2,60\n', /no delimiter/],
  ['one line without a colon', 'a:1\nb\nc:3\n', /no delimiter/],
];
for (const [what, text, found] of refused) {
  test(`RS-2 refuses to guess at ${what}, and names csvDelimiter`, () => {
    const result = detect(text);
    assert.ok(result !== undefined && 'problem' in result);
    assert.match(result.problem, found);
    assert.match(result.problem, /csvDelimiter/);
  });
}

test('RS-2 looks at the first 100 records, so that a later line cannot change the choice', () => {
  const text = `${'a,1\n'.repeat(100)}b:2\nc\n`;
  const result = detect(text);
  assert.ok(result !== undefined && 'format' in result);
  assert.equal(result.format.delimiter, 'comma');
});

test('RS-1 an explicit delimiter is taken without looking, with up to five columns', () => {
  const result = detect('sensor:1,22\n', { csvDelimiter: 'comma' });
  assert.deepEqual(result, {
    format: { delimiter: 'comma', hasHeader: false, columns: ['key', 'value', 'ttl', 'type', 'op'] },
  });
});

test('RS-11 csvHeader absent keeps a first row that looks like a header; present refuses a file without one', () => {
  assert.deepEqual(detect('key,value\na,1\n', { csvHeader: 'absent' }), {
    format: { delimiter: 'comma', hasHeader: false, columns: ['key', 'value'] },
  });
  for (const csvDelimiter of ['auto', 'comma'] as const) {
    const result = detect('a,1\nb,2\n', { csvHeader: 'present', csvDelimiter });
    assert.ok(result !== undefined && 'problem' in result);
    assert.match(result.problem, /header/);
  }
});

test('RS-11 a column per field needs valueType hash or a type column', () => {
  const text = 'key,name,age\na,Ann,5\n';
  assert.ok('problem' in (detect(text) ?? {}));
  assert.deepEqual(detect(text, { valueType: 'hash' }), {
    format: { delimiter: 'comma', hasHeader: true, columns: ['key', 'field:name', 'field:age'] },
  });
});

test('a file without any record has no format', () => {
  for (const text of ['', '\n\r\n\r']) assert.equal(detect(text), undefined);
});
