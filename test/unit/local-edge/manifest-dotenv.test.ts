import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDotenv, readDotenv } from '../../../local-edge/src/manifest/dotenv.ts';

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
  ['a value that begins with a number sign', 'A=#x\nB= # x', { A: '#x', B: '# x' }],
  ['ends of lines of old Macs', 'A=1\rB="x\ry"\r', { A: '1', B: 'x\ny' }],
  ['an unclosed single quote', "A='x\nB=2", { B: '2' }],
  ['an unclosed double quote', 'A="x\nB=2', { B: '2' }],
  ['a backslash before the last quote', "A='x\\'\nB=2", { A: 'x\\', B: '2' }],
  ['text after a closing quote', 'A="x" y\nB=2', { B: '2' }],
  ['a comment right after a closing quote', 'A="x"#y', { A: 'x' }],
  ['a line of two words', 'A B=1\nC=2', { C: '2' }],
  ['a line that begins with an equals sign', '=1\nC=2', { C: '2' }],
  ['blanks of Unicode', '\u00a0A\u3000=\u2003x\u00a0y\u00a0', { A: 'x\u00a0y' }],
  ['a blank of no width', 'A=x\u200b', { A: 'x\u200b' }],
  ['a name that is taken back', 'A=1\nA', {}],
  ['a name in quotes', "'A B'=1", { 'A B': '1' }],
  [
    'a name that every object has',
    'B=x${toString}y\ntoString=1\nC=${toString}',
    { B: 'xy', toString: '1', C: '1' },
  ],
];

for (const [title, text, expected] of cases) {
  test(`reads ${title} as python-dotenv does`, () => {
    assert.deepEqual(parseDotenv(text), expected);
  });
}

test('lets the environment win when it fills in a name', () => {
  assert.deepEqual(parseDotenv('A=file\nB=${A}', { A: 'process' }), { A: 'file', B: 'process' });
});

test('tells the lines that it can make nothing of', () => {
  const { values, unread } = readDotenv('A=1\n\nB="x\n# c\r\nC="x" y\nD=4\n=5');
  assert.deepEqual([values, unread], [{ A: '1', D: '4' }, [3, 7]]);
});
