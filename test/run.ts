/**
 * The gate: `node test/run.ts STAGE…`. Runs the stages in order and ends at the first that fails, so that the output ends
 * with what went wrong. A stage that finds no tests fails: a pattern that matches nothing would pass for ever.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareLists, permitted, testsToWatch } from './acl-lists.ts';
import { importCycle } from './import-cycles.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const suites = ['unit', 'contract', 'integration', 'e2e', 'faults'] as const;
type Suite = (typeof suites)[number];

interface SuiteOptions {
  /** Test files at a time: those that start servers and measure time get the machine for themselves. */
  readonly concurrency: number;
  /** Limit of one test, minutes. */
  readonly minutes: number;
}

const options: Record<Suite, SuiteOptions> = {
  unit: { concurrency: 2, minutes: 1 },
  contract: { concurrency: 2, minutes: 2 },
  integration: { concurrency: 2, minutes: 3 },
  e2e: { concurrency: 1, minutes: 4 },
  faults: { concurrency: 1, minutes: 10 },
};

const stages: Record<string, readonly (() => void)[]> = {
  check: [formatting, lint, types, hygiene, () => tests('unit')],
  unit: [() => tests('unit')],
  contract: [() => tests('contract')],
  integration: [() => tests('integration')],
  e2e: [() => tests('e2e')],
  faults: [() => tests('faults', { FAULT_ROUNDS: process.env['FAULT_ROUNDS'] ?? '50' })],
};
stages['all'] = [
  ...(stages['check'] ?? []),
  () => tests('contract'),
  () => tests('integration'),
  () => tests('e2e'),
  () => tests('faults', { FAULT_ROUNDS: process.env['FAULT_ROUNDS'] ?? '3' }),
  () => acl([], false),
];

function run(title: string, args: readonly string[], environment: Record<string, string> = {}): void {
  console.log(`\n== ${title}`);
  const started = Date.now();
  const result = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (result.status !== 0) {
    console.error(`\n${title} failed after ${seconds} s${result.signal ? ` (${result.signal})` : ''}.`);
    process.exit(1);
  }
  console.log(`== ${title}: passed in ${seconds} s`);
}

function tool(name: string, file: string): string {
  return join(root, 'node_modules', name, file);
}

function formatting(): void {
  run('formatting', [tool('prettier', 'bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']);
}

function lint(): void {
  run('lint', [tool('eslint', 'bin/eslint.js'), '--max-warnings', '0', '.']);
}

function types(): void {
  run('types', [tool('typescript', 'bin/tsc'), '-b']);
}

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}

/** `test.skip(…)`, `t.todo()`, `test('…', { only: true }, …)`; the same words elsewhere are data. */
const SWITCHED_OFF =
  /\b(?:test|it|suite|describe|t)\.(?:skip|only|todo)\(|\b(?:test|it|suite|describe)\(\s*(?:'[^']*'|"[^"]*"|`[^`]*`),\s*\{[^}]*\b(?:skip|only|todo):/;

/** What no tool checks: tests that would never run, tests switched off, projects without tests, files in a circle. */
function hygiene(): void {
  console.log('\n== hygiene');
  const files = globSync('test/**/*.test.ts', { cwd: root });
  for (const file of files) {
    if (!suites.some((suite) => file.startsWith(join('test', suite))))
      fail(`${file}: in no suite's folder, so it never runs`);
    if (SWITCHED_OFF.test(readFileSync(join(root, file), 'utf8')))
      fail(`${file}: a test is skipped, focused or left to do`);
  }
  const modules = globSync('modules/*', { cwd: root }).map((folder) => basename(folder));
  for (const project of [...modules, 'local-edge'])
    if (!files.some((file) => file.startsWith(join('test', 'unit', project))))
      fail(`test/unit/${project}: no tests`);
  if (/"resolved": "https?:/.test(readFileSync(join(root, 'package-lock.json'), 'utf8')))
    fail(
      'package-lock.json names a registry host: keep omit-lockfile-registry-resolved=true in .npmrc and make it anew',
    );
  const sources = ['modules/*/src/**/*.ts', 'local-edge/src/**/*.{ts,js}', 'bench/*.ts', 'build/*.ts'];
  const cycle = importCycle(root, sources);
  if (cycle !== undefined) fail(`files import each other in a circle: ${cycle.join(' -> ')}`);
}

function tests(suite: Suite, environment: Record<string, string> = {}): void {
  const { concurrency, minutes } = options[suite];
  const pattern = `test/${suite}/**/*.test.ts`;
  if (globSync(pattern, { cwd: root }).length === 0) fail(`${pattern}: matches no test`);
  run(
    `${suite} tests`,
    [
      '--conditions=source',
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${minutes * 60_000}`,
      pattern,
    ],
    environment,
  );
}

/**
 * RD-22: watches what the modules call in Redis while tests run, and holds the ACL lists of the templates to it. MONITOR slows a Redis down
 * and fills its connection, which a test that measures bytes or times may notice: whether tests pass is said by their own stage.
 */
function acl(names: readonly string[], isWhole: boolean): void {
  const known = [...permitted(root).keys()];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) fail(`no module ${unknown} has an ACL list; there are ${known.join(', ')}`);
  const modules = names.length === 0 ? known : names;
  const watched = testsToWatch(root, modules, isWhole);
  console.log(`\n== ACL lists: watching ${watched.length} test files of ${modules.join(', ')}`);
  const traces = mkdtempSync(join(tmpdir(), 'redis-trace-'));
  try {
    for (const { file, only } of watched) {
      const started = Date.now();
      const pattern = only === undefined ? [] : [`--test-name-pattern=/${only}/`];
      const { status } = spawnSync(
        process.execPath,
        ['--conditions=source', '--test', '--test-timeout=600000', ...pattern, file],
        {
          cwd: root,
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, REDIS_TRACE: traces, FAULT_ROUNDS: process.env['FAULT_ROUNDS'] ?? '1' },
        },
      );
      const outcome = status === 0 ? '' : ' (some failed while they were watched)';
      console.log(`${file}: ${((Date.now() - started) / 1000).toFixed(1)} s${outcome}`);
    }
    const findings = compareLists(root, traces, modules);
    if (findings.length > 0)
      fail(`the ACL lists of the templates are not what the modules call:\n${findings.join('\n')}`);
    console.log('== the ACL lists of the templates are what the modules call');
  } finally {
    rmSync(traces, { recursive: true, force: true });
  }
}

const wanted = process.argv.slice(2);
if (wanted[0] === 'acl') {
  // `acl [--all] [MODULE…]`: the tests that tell most, or all of them.
  acl(
    wanted.slice(1).filter((word) => word !== '--all'),
    wanted.includes('--all'),
  );
  process.exit(0);
}
for (const name of wanted.length === 0 ? ['all'] : wanted) {
  const steps = stages[name];
  if (steps === undefined) fail(`unknown stage ${name}; known are ${Object.keys(stages).join(', ')}`);
  for (const step of steps) step();
}
