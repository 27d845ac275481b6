import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import type { Template } from '../../helpers/broken-project.ts';

const agent = "$.modulesContent.$edgeAgent['properties.desired']";
const hub = "$.modulesContent.$edgeHub['properties.desired']";
const runtime = (t: Template): Record<string, unknown> =>
  (t.agent['runtime'] as { settings: Record<string, unknown> }).settings;
const system = (t: Template): Record<string, Record<string, unknown>> =>
  t.agent['systemModules'] as Record<string, Record<string, unknown>>;

const cases: readonly (readonly [
  title: string,
  change: (t: Template) => void,
  path: string,
  problem: RegExp,
])[] = [
  [
    'misspelt createOptions, without which the module would run unlimited',
    (t) => {
      const { createOptions, ...rest } = t.module('redis-client').settings;
      t.module('redis-client').settings = { ...rest, createOption: createOptions } as never;
    },
    `${agent}.modules.redis-client.settings.createOption`,
    /knows no such property here; did you mean createOptions\?$/,
  ],
  [
    'a misspelt key of a module',
    (t) => (t.module('redis')['restartpolicy'] = 'always'),
    `${agent}.modules.redis.restartpolicy`,
    /did you mean restartPolicy\?$/,
  ],
  [
    'a key of another tool',
    (t) => (t.module('redis')['volumes'] = []),
    `${agent}.modules.redis.volumes`,
    /knows no such property here; it knows version, type, status/,
  ],
  [
    'a third system module',
    (t) => (system(t)['edgeProxy'] = structuredClone(system(t)['edgeHub'] ?? {})),
    `${agent}.systemModules.edgeProxy`,
    /it knows edgeAgent, edgeHub\.$/,
  ],
  [
    'a status of edgeAgent',
    (t) => Object.assign(system(t)['edgeAgent'] ?? {}, { status: 'running' }),
    `${agent}.systemModules.edgeAgent.status`,
    /knows no such property here; it knows type, settings/,
  ],
  [
    '$edgeHub without desired properties',
    (t) => (t.all['$edgeHub'] = {}),
    hub,
    /it is missing, and the published schema of deployments demands it/,
  ],
  ['an empty route', (t) => (t.routes['r'] = ''), `${hub}.routes.r`, /the text of a route, or an object/],
  ['a route of null', (t) => (t.routes['r'] = null), `${hub}.routes.r`, /the text of a route, or an object/],
  ['a route that is a number', (t) => (t.routes['r'] = 5), `${hub}.routes.r`, /neither a text nor an object/],
  [
    'a misspelt key of a route',
    (t) => (t.routes['r'] = { route: 'FROM /* INTO $upstream', prioritty: 1 }),
    `${hub}.routes.r.prioritty`,
    /did you mean priority\?$/,
  ],
  [
    'a route of a priority that is none',
    (t) => (t.routes['r'] = { route: 'FROM /* INTO $upstream', priority: 10 }),
    `${hub}.routes.r.priority`,
    /whole number from 0 to 9/,
  ],
  [
    'a login of a registry without password',
    (t) => (runtime(t)['registryCredentials'] = { own: { username: 'u', address: 'a' } }),
    `${agent}.runtime.settings.registryCredentials.own.password`,
    /it is missing/,
  ],
  [
    'logins of registries as a list',
    (t) => (runtime(t)['registryCredentials'] = [{ username: 'u', password: 'hunter2', address: 'a' }]),
    `${agent}.runtime.settings.registryCredentials`,
    /it must be an object\.$/,
  ],
  [
    'an address of a registry with a blank',
    (t) =>
      (runtime(t)['registryCredentials'] = { own: { username: 'u', password: 'hunter2', address: 'a b' } }),
    `${agent}.runtime.settings.registryCredentials.own.address`,
    /must not be empty or hold blanks/,
  ],
  ['a key of $edgeHub that is none', (t) => (t.hub['route'] = {}), `${hub}.route`, /did you mean routes\?$/],
  [
    'properties of a module that are not desired ones',
    (t) => (t.all['redis-client'] = { 'properties.desired': {}, 'properties.reported': {} }),
    "$.modulesContent.redis-client['properties.reported']",
    /did you mean properties\.desired\?$/,
  ],
];

for (const [title, change, path, problem] of cases) {
  test(`RD-17: what the published schema refuses is told once and in words: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    const found = findings.filter((one) => one.path === path);
    assert.equal(found.length, 1, JSON.stringify(findings, null, 1));
    assert.match(found[0]?.problem ?? '', problem);
    assert.doesNotMatch(JSON.stringify(findings), /hunter2/);
  });
}
