import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDotenv } from '../../../local-edge/src/manifest/dotenv.ts';

const cases: readonly (readonly [string, string, Record<string, string>])[] = [
  ['a plain value', 'A=1', { A: '1' }],
  ['blanks around name and value', '  A =  x y  ', { A: 'x y' }],
  ['export', 'export A=1', { A: '1' }],
  ['comments and empty lines', '# c\n\nA=1\n  # d\n', { A: '1' }],
  ['a comment after an unquoted value', 'A=1 # one\nB=a#b', { A: '1', B: 'a#b' }],
  ['an empty value', 'A=\nB=2', { A: '', B: '2' }],
  ['a name without a value', 'A\nB=2', { B: '2' }],
  ['single quotes', 'A=\'x # "y" \\n\'', { A: 'x # "y" \\n' }],
  ['escapes in single quotes', "A='it\\'s'", { A: "it's" }],
  ['double quotes', 'A="x # y" # z', { A: 'x # y' }],
  ['escapes in double quotes', 'A="a\\nb\\t\\"c\\""', { A: 'a\nb\t"c"' }],
  ['a value over several lines', 'A="one\ntwo"\nB=2', { A: 'one\ntwo', B: '2' }],
  ['Windows line ends', 'A=1\r\nB=2\r\n', { A: '1', B: '2' }],
  ['an equals sign in a value', 'A=k=v;x=y', { A: 'k=v;x=y' }],
  ['a dollar sign without braces', 'A=$B', { A: '$B' }],
  ['a name used before', 'A=1\nB=${A}2', { A: '1', B: '12' }],
  ['a default', 'B=${NONE:-d}', { B: 'd' }],
  ['an unknown name', 'B=x${NONE}y', { B: 'xy' }],
  ['the last of two', 'A=1\nA=2', { A: '2' }],
];

for (const [title, text, expected] of cases) {
  test(`reads ${title} as python-dotenv does`, () => {
    assert.deepEqual(parseDotenv(text), expected);
  });
}

test('lets the environment win when it fills in a name', () => {
  assert.deepEqual(parseDotenv('A=file\nB=${A}', { A: 'process' }), { A: 'file', B: 'process' });
});
