import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Flag } from '../../../local-edge/src/cli/args.ts';
import { checkRequired, parseArgs } from '../../../local-edge/src/cli/args.ts';
import { didYouMean } from '../../../local-edge/src/cli/did-you-mean.ts';
import { runCli } from '../../../local-edge/src/cli/run-cli.ts';
import { verbs } from '../../../local-edge/src/cli/verbs.ts';

const flags: readonly Flag[] = [
  { names: ['--module-id', '-m'], value: 'MODULE', help: '', required: true },
  { names: ['--properties', '--props'], value: 'KIND', help: '', many: true },
  { names: ['--follow', '-f'], help: '' },
  { names: ['--tail'], value: 'N', help: '' },
];

describe('arguments of a verb', () => {
  it('reads long, short and joined forms, switches, lists and words in any order', () => {
    const args = parseArgs(
      'x',
      ['a', '-m', 'mod', '--props', 'sys', 'app', '-f', '--tail=5', 'b', '--', '-m'],
      flags,
    );
    assert.equal(args.text('--module-id'), 'mod');
    assert.deepEqual(args.texts('--properties'), ['sys', 'app']);
    assert.equal(args.has('--follow'), true);
    assert.equal(args.number('--tail'), 5);
    assert.deepEqual(args.words, ['a', 'b', '-m']);
  });

  it('leaves an empty value and one with an equals sign as they are', () => {
    const args = parseArgs('x', ['--module-id=', '--tail', '1=2'], flags);
    assert.equal(args.text('--module-id'), '');
    assert.equal(args.text('--tail'), '1=2');
  });

  for (const [what, argv, pattern] of [
    [
      'an unknown flag, with the one that was meant',
      ['--modul-id', 'x'],
      /has no flag --modul-id; did you mean --module-id\?/,
    ],
    ['an unknown flag that resembles none', ['--zzz'], /has no flag --zzz; edge x --help/],
    ['a flag without its value', ['-m'], /-m needs a value: -m MODULE/],
    ['a flag where a value should be', ['-m', '-f'], /-m needs a value/],
    ['a flag given twice', ['-m', 'a', '--module-id', 'b'], /--module-id is given twice/],
    ['a value for a switch', ['--follow=yes'], /--follow takes no value/],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseArgs('x', argv, flags), { code: 'USAGE', message: pattern });
    });
  }

  it('names a required flag that is missing', () => {
    assert.throws(
      () => checkRequired('x', parseArgs('x', [], flags), flags),
      /edge x needs --module-id or -m MODULE/,
    );
  });
});

describe('did you mean', () => {
  it('finds swapped, missing and doubled letters and stays silent when nothing is near', () => {
    const known = ['invoke-module-method', 'list', 'logs', 'restart'];
    assert.equal(didYouMean('lsit', known), '; did you mean list?');
    assert.equal(didYouMean('restrat', known), '; did you mean restart?');
    assert.equal(didYouMean('invoke-method', known), '');
    assert.equal(didYouMean('invoke-modul-methd', known), '; did you mean invoke-module-method?');
    assert.equal(didYouMean('x', known), '');
  });
});

describe('the edge command itself', () => {
  async function edge(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    let stdout = '';
    let stderr = '';
    const code = await runCli(argv, {
      stdout: (text) => (stdout += text),
      stderr: (text) => (stderr += text),
      env: {},
      cwd: '/',
      signal: new AbortController().signal,
      run: () => Promise.resolve(0),
      start: (rest) => Promise.resolve(rest.length),
    });
    return { code, stdout, stderr };
  }

  it('hands start and everything behind it to the one who runs it', async () => {
    assert.equal((await edge('start', '--state', 'x')).code, 2);
  });

  it('lists its verbs, and fails when called without one', async () => {
    const help = await edge('help');
    assert.equal(help.code, 0);
    for (const { name } of verbs) assert.ok(help.stdout.includes(name), name);
    const bare = await edge();
    assert.equal(bare.code, 2);
    assert.equal(bare.stdout, help.stdout);
  });

  it('explains each verb, its flags and its words, without a local edge', async () => {
    for (const verb of verbs) {
      const { code, stdout } = await edge(...verb.name.split(' '), '--help');
      assert.equal(code, 0, verb.name);
      for (const flag of verb.flags)
        for (const name of flag.names) assert.ok(stdout.includes(name), `${verb.name} ${name}`);
      assert.equal((await edge('help', ...verb.name.split(' '))).stdout, stdout);
    }
  });

  it('prints its version', async () => {
    assert.match((await edge('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  for (const [argv, pattern] of [
    [['lst'], /there is no verb lst; did you mean list\?/],
    [['dance'], /there is no verb dance; edge help lists them/],
    [
      ['module-twin'],
      /edge module-twin needs one of module-twin show, module-twin update, module-twin replace/,
    ],
    [['module-twin', 'shwo'], /did you mean module-twin show\?/],
    [['logs'], /edge logs needs NAME/],
    [['list', 'all'], /does not take the word "all"/],
    [['invoke-module-method', '-m', 'x'], /needs --method-name or --mn METHOD/],
  ] as const) {
    it(`exits with 2 for: edge ${argv.join(' ')}`, async () => {
      const { code, stdout, stderr } = await edge(...argv);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, pattern);
    });
  }
});
