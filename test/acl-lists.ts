import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Both hold the same lists; another test sees to that. */
const templates = 'deployment.template.json and deployment.debug.template.json';

/** What is asked of a cluster, a Sentinel or a replica, none of which the deployment has. */
const otherModes = /^(cluster\||sentinel|asking$|readonly$|readwrite$|role$)/;

/** What no list names, since every user may: how a client says who it is, and leaves. */
const always = new Set(['auth', 'hello', 'quit', 'reset']);

/** What every connection does sooner or later (`common/redis`): an idle one is asked, a database is chosen by a setting. */
const ofConnections = new Set(['ping', 'select']);

/** What a server that is a replica calls at its primary, as in tests of read-only servers. A module may do so only where its list says so. */
const ofReplicas = new Set(['replconf', 'psync']);

/**
 * What modules try and do without when it is refused. CONFIG would let a module change the server; a list with a command that a server
 * does not know keeps that server from starting, and XACKDEL is of Redis 8.2.
 */
export const refused: Readonly<Record<string, readonly string[]>> = {
  'redis-snapshot': ['config|get', 'config|set'],
  'stream-to-mqtt': ['xackdel'],
};

/** Test files, and which of their tests; all where nothing is said. */
export interface Watched {
  readonly file: string;
  /** Regular expression for titles. */
  readonly only?: string;
}

/**
 * The tests that make a module call all that it may, and no more than are needed for that: `npm test` watches these. `npm run test:acl -- --all`
 * watches all.
 */
const telling: Readonly<Record<string, readonly Watched[]>> = {
  'redis-client': [{ file: 'redis-client-items', only: 'RC-24|RC-26|RC-27|RC-31|RC-9|seed|db reaches' }],
  'redis-sync': [
    { file: 'redis-sync', only: 'RS-11|RS-25 RS-26|RS-29|Sync, SyncStatus' },
    { file: 'redis-sync-steps' },
  ],
  'kafka-ingest': [{ file: 'kafka-ingest' }, { file: 'kafka-ingest-commands' }],
  'redis-snapshot': [
    { file: 'redis-snapshot-export', only: 'SN-5|an empty Redis|SN-20' },
    { file: 'redis-snapshot-import', only: '7[.]0[.]15|SN-12 idle|SN-15 failIf|SN-16|SN-23' },
  ],
  'stream-to-mqtt': [
    { file: 'stream-to-mqtt' },
    { file: 'stream-to-mqtt-delivery' },
    { file: 'stream-to-mqtt-limits' },
  ],
};

/** The commands that `ACL_<MODULE>` of the template permits, by module. */
export function permitted(root: string): Map<string, Set<string>> {
  const text = readFileSync(join(root, 'deployment.template.json'), 'utf8');
  const lists = [...text.matchAll(/"ACL_([A-Z_]+)": \{\s*"value": "([^"]*)"/g)];
  return new Map(
    lists.map(([, name = '', rules = '']) => [
      name.toLowerCase().replaceAll('_', '-'),
      new Set([...rules.matchAll(/\+(\S+)/g)].map((match) => match[1] ?? '')),
    ]),
  );
}

/** The test files to watch for some modules: the telling ones, or all that have a Redis of their own. */
export function testsToWatch(root: string, modules: readonly string[], isWhole: boolean): Watched[] {
  return modules.flatMap((module) =>
    isWhole
      ? globSync(`test/{integration,faults}/${module}*.test.ts`, { cwd: root })
          .sort()
          .map((file) => ({ file }))
      : (telling[module] ?? []).map((one) => ({ ...one, file: `test/integration/${one.file}.test.ts` })),
  );
}

/** Findings, one sentence each: a command that a module called and may not call, or may call and never did. */
export function compareLists(root: string, traces: string, modules: readonly string[]): string[] {
  const lists = permitted(root);
  const called = calledBy(traces, modules);
  return modules.flatMap((module) => {
    const allowed = lists.get(module) ?? new Set<string>();
    const seen = called.get(module) ?? new Set<string>();
    if (seen.size === 0)
      return [`${module}: no call of it was seen, so that nothing can be said about its list`];
    const where = `ACL_${module.toUpperCase().replaceAll('-', '_')} of ${templates}`;
    const mayDoWithout = new Set(refused[module]);
    return [
      ...[...seen, ...ofConnections]
        .filter(
          (one) => !allowed.has(one) && !mayDoWithout.has(one) && !always.has(one) && !ofReplicas.has(one),
        )
        .map((one) => `${module} calls ${one} and may not: write +${one} into ${where}`),
      ...[...allowed]
        .filter((one) => !seen.has(one) && !ofConnections.has(one))
        .map((one) => `${module} may call ${one} and no test saw it: take +${one} out of ${where}`),
    ].sort();
  });
}

function calledBy(traces: string, modules: readonly string[]): Map<string, Set<string>> {
  const called = new Map<string, Set<string>>();
  for (const path of globSync('*.json', { cwd: traces })) {
    const { file, called: commands } = JSON.parse(readFileSync(join(traces, path), 'utf8')) as {
      file: string;
      called: string[];
    };
    const module = modules.find((name) => basename(file).startsWith(name));
    if (module === undefined) continue;
    const known = called.get(module) ?? new Set<string>();
    for (const command of commands) if (!otherModes.test(command)) known.add(command);
    called.set(module, known);
  }
  return called;
}
