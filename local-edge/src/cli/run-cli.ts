import { readFileSync } from 'node:fs';

import { EdgeError } from '../errors.ts';
import type { Args } from './args.ts';
import { checkRequired, parseArgs } from './args.ts';
import type { CliIo } from './cli-io.ts';
import { didYouMean } from './did-you-mean.ts';
import { findStateDir, readHubFacts } from './state.ts';
import type { Verb, VerbContext } from './verb.ts';
import { stateFlag, verbs } from './verbs.ts';

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}

function unknownVerb(argv: readonly string[]): EdgeError {
  const [first = '', second] = argv;
  const group = verbs.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (group.length > 0) {
    const given = second === undefined || second.startsWith('-') ? undefined : second;
    const hint = given === undefined ? '' : didYouMean(`${first} ${given}`, group);
    return new EdgeError('USAGE', `edge ${first} needs one of ${group.join(', ')}${hint}`);
  }
  const names = ['start', 'help', ...verbs.map(({ name }) => name)];
  const heads = [...new Set([...names, ...names.map((name) => name.split(' ')[0] ?? name)])];
  return new EdgeError(
    'USAGE',
    `there is no verb ${first}${didYouMean(first, heads) || '; edge help lists them'}`,
  );
}

function findVerb(argv: readonly string[]): { verb: Verb; rest: readonly string[] } {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ');
    const verb = verbs.find((candidate) => candidate.name === name);
    if (verb !== undefined) return { verb, rest: argv.slice(words) };
  }
  throw unknownVerb(argv);
}

function checkWords(verb: Verb, args: Args): void {
  const expected = verb.words ?? [];
  const missing = expected.slice(args.words.length).find((word) => !word.startsWith('['));
  if (missing !== undefined) throw new EdgeError('USAGE', `edge ${verb.name} needs ${missing}`);
  const open = expected.at(-1)?.endsWith('...]') === true;
  const extra = open ? undefined : args.words[expected.length];
  if (extra !== undefined) {
    throw new EdgeError(
      'USAGE',
      `edge ${verb.name} does not take the word ${JSON.stringify(extra)}; JSON on a command line needs single quotes`,
    );
  }
}

function contextOf(io: CliIo, args: Args): VerbContext {
  const stateDir = findStateDir(args.text('--state'), io.env, io.cwd);
  const hub = readHubFacts(stateDir);
  return {
    io,
    args,
    hub,
    stateDir,
    service: async () => (await import('./service-client.ts')).createServiceClient(hub),
    control: async () => (await import('./control-client.ts')).createControlClient(hub),
    json: (value) => io.stdout(`${JSON.stringify(value, null, 4)}\n`),
  };
}

async function runVerb(argv: readonly string[], io: CliIo): Promise<number> {
  const { verb, rest } = findVerb(argv);
  const flags = [...verb.flags, stateFlag, { names: ['--help', '-h'], help: '' } as const];
  const args = parseArgs(verb.name, rest, flags, verb.takesCommand === true ? 1 : undefined);
  if (args.has('--help')) {
    io.stdout((await import('./help.ts')).verbHelp(verb));
    return 0;
  }
  checkRequired(verb.name, args, verb.flags);
  checkWords(verb, args);
  const action = await verb.load();
  return (await action(contextOf(io, args))) ?? 0;
}

async function dispatch(argv: readonly string[], io: CliIo): Promise<number> {
  const [first] = argv;
  if (first === 'start') return io.start(argv.slice(1));
  if (first === '--version' || first === '-v' || first === 'version') {
    io.stdout(`${version()}\n`);
  } else if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    const help = await import('./help.ts');
    io.stdout(argv.length > 1 ? help.verbHelp(findVerb(argv.slice(1)).verb) : help.overview());
    // Without a verb nothing was done, which a script should notice.
    return first === undefined ? 2 : 0;
  } else return runVerb(argv, io);
  return 0;
}

/** The `edge` command: 0 when it did what was asked, 2 for a wrong call, 1 for everything else, with a sentence on stderr. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    if (!(error instanceof EdgeError)) {
      io.stderr(
        `edge: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
      return 1;
    }
    io.stderr(`edge: ${error.message}\n`);
    return error.code === 'USAGE' ? 2 : 1;
  }
}
