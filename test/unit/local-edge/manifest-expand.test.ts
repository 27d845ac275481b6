import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandTemplate } from '../../../local-edge/src/manifest/expand-template.ts';
import type { Expansion, TemplateInput } from '../../../local-edge/src/manifest/expand-template.ts';
import type { ModuleSource } from '../../../local-edge/src/manifest/template-sources.ts';

const moduleJson = {
  image: {
    repository: '$REGISTRY/Echo',
    tag: {
      version: '1.2.3',
      platforms: { amd64: './D.amd64', 'amd64.debug': './D.debug', arm64v8: './D.arm' },
    },
  },
};
const echo: ModuleSource = {
  name: 'echo',
  folder: 'modules/echo',
  path: 'modules/echo/module.json',
  moduleJsonText: JSON.stringify(moduleJson),
};

function template(
  module: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    '$schema-template': '3.0.0',
    modulesContent: {
      $edgeAgent: {
        'properties.desired': {
          schemaVersion: '1.1',
          runtime: { type: 'docker', settings: {} },
          systemModules: {
            edgeAgent: { type: 'docker', settings: { image: 'agent:1', createOptions: {} } },
            edgeHub: {
              type: 'docker',
              status: 'running',
              restartPolicy: 'always',
              settings: { image: 'hub:1' },
            },
          },
          modules: {
            echo: {
              type: 'docker',
              status: 'running',
              restartPolicy: 'always',
              settings: { image: '${MODULES.echo}', createOptions: {} },
              ...module,
            },
          },
        },
      },
      $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: { r: 'FROM /* INTO $upstream' } } },
      ...more,
    },
  };
}

function expand(content: unknown, input: Partial<TemplateInput> = {}): Expansion {
  return expandTemplate({
    templateText: typeof content === 'string' ? content : JSON.stringify(content),
    templatePath: 'deployment.template.json',
    env: { REGISTRY: 'reg.example:5000' },
    modules: [echo],
    platform: 'amd64',
    ...input,
  });
}

function settingsOf(expansion: Expansion): Record<string, unknown> {
  const agent = expansion.manifest?.modulesContent['$edgeAgent']?.['properties.desired'];
  return JSON.parse(
    JSON.stringify((agent as { modules: { echo: { settings: unknown } } }).modules.echo.settings),
  ) as Record<string, unknown>;
}

const images: readonly (readonly [string, string])[] = [
  ['${MODULES.echo}', 'reg.example:5000/echo:1.2.3-amd64'],
  ['${MODULES.echo.amd64}', 'reg.example:5000/echo:1.2.3-amd64'],
  ['${MODULES.echo.debug}', 'reg.example:5000/echo:1.2.3-amd64.debug'],
  ['${MODULES.echo.arm64v8}', 'reg.example:5000/echo:1.2.3-arm64v8'],
  ['${MODULEDIR<modules/echo>}', 'reg.example:5000/echo:1.2.3-amd64'],
  ['${MODULEDIR<./modules/echo>.arm64v8}', 'reg.example:5000/echo:1.2.3-arm64v8'],
  ['redis:$TAG', 'redis:8'],
  ['redis:${TAG}-alpine', 'redis:8-alpine'],
];
for (const [image, expected] of images) {
  test(`expands the image ${image}`, () => {
    const expansion = expand(template({ settings: { image } }), {
      env: { REGISTRY: 'reg.example:5000', TAG: '8' },
    });
    assert.deepEqual(expansion.findings, []);
    assert.equal(settingsOf(expansion)['image'], expected);
  });
}

for (const name of ['constructor', 'toString', '__proto__']) {
  test(`a variable ${name} is set only when .env or the environment sets it`, () => {
    const image = `redis:\${${name}}`;
    const { findings } = expand(template({ settings: { image } }));
    assert.equal(findings.length, 1);
    assert.match(findings[0]?.problem ?? '', /is not set/);
    const env = { REGISTRY: 'r', ...Object.fromEntries([[name, '8']]) };
    assert.equal(settingsOf(expand(template({ settings: { image } }), { env }))['image'], 'redis:8');
  });
}

test('takes the platform that was asked for', () => {
  assert.equal(
    settingsOf(expand(template(), { platform: 'arm64v8' }))['image'],
    'reg.example:5000/echo:1.2.3-arm64v8',
  );
});

test('puts CONTAINER_TAG into the tag, as iotedgedev does', () => {
  const env = { REGISTRY: 'r', CONTAINER_TAG: 'rc1' };
  assert.equal(settingsOf(expand(template(), { env }))['image'], 'r/echo:1.2.3-rc1-amd64');
});

test('fills in a module.json from the .env beside it', () => {
  const modules = [{ ...echo, dotenvText: 'REGISTRY=own.example' }];
  assert.equal(settingsOf(expand(template(), { env: {}, modules }))['image'], 'own.example/echo:1.2.3-amd64');
});

test('makes texts of createOptions, without blanks and in pieces', () => {
  const createOptions = { Env: ['A=1'], Cmd: ['x'.repeat(600)] };
  const settings = settingsOf(expand(template({ settings: { image: 'a:1', createOptions } })));
  assert.equal(
    `${String(settings['createOptions'])}${String(settings['createOptions01'])}`,
    JSON.stringify(createOptions),
  );
});

test('drops $schema-template and leaves $edgeHub, $edgeAgent and $upstream alone, whatever the environment says', () => {
  const expansion = expand(template(), {
    env: { REGISTRY: 'r', edgeHub: 'X', edgeAgent: 'X', upstream: 'X', schema: 'X' },
  });
  assert.deepEqual(Object.keys(expansion.manifest ?? {}), ['modulesContent']);
  assert.deepEqual(Object.keys(expansion.manifest?.modulesContent ?? {}), ['$edgeAgent', '$edgeHub']);
  assert.deepEqual(expansion.manifest?.modulesContent['$edgeHub']?.['properties.desired'], {
    schemaVersion: '1.1',
    routes: { r: 'FROM /* INTO $upstream' },
  });
});

test('accepts the old spelling moduleContent and the wrapper content', () => {
  const { modulesContent } = template() as { modulesContent: unknown };
  assert.deepEqual(expand({ moduleContent: modulesContent }).findings, []);
  assert.deepEqual(expand({ content: { modulesContent } }).findings, []);
});

test('leaves properties of messages in routes alone', () => {
  const text = JSON.stringify(template()).replace(
    'FROM /* INTO',
    "FROM /* WHERE $body.t > 3 AND $connectionModuleId = 'a' INTO",
  );
  assert.deepEqual(expand(text).findings, []);
});

const wrong: readonly (readonly [string, unknown, Partial<TemplateInput>, RegExp, RegExp])[] = [
  [
    'text that is no JSON',
    '{\n "modulesContent": {,}}',
    {},
    /deployment\.template\.json:2:21/,
    /double quotes/,
  ],
  ['no modulesContent', {}, {}, /^\$$/, /modulesContent/],
  [
    'an unknown module',
    template({ settings: { image: '${MODULES.nope}' } }),
    {},
    /echo\.settings\.image/,
    /no module "nope".*echo/,
  ],
  [
    'an unknown platform',
    template({ settings: { image: '${MODULES.echo.s390x}' } }),
    {},
    /image/,
    /"s390x".*amd64, amd64\.debug, arm64v8/,
  ],
  [
    'a placeholder within a text',
    template({ settings: { image: 'x/${MODULES.echo}' } }),
    {},
    /image/,
    /whole image/,
  ],
  [
    'a placeholder in another place',
    template({}, { echo: { 'properties.desired': { a: '${MODULES.echo}' } } }),
    {},
    /desired'\]\.a/,
    /only as settings\.image/,
  ],
  [
    'something like a placeholder',
    template({ settings: { image: '${MODULE.echo}' } }),
    {},
    /image/,
    /no placeholder/,
  ],
  [
    'a missing variable',
    template({ settings: { image: 'redis:${NONE}' } }),
    {},
    /image/,
    /\$\{NONE\} is not set/,
  ],
  [
    'a missing variable without braces',
    template({ settings: { image: 'redis:$NONE' } }),
    {},
    /image/,
    /\$NONE is not set/,
  ],
  [
    'a missing variable in a desired property',
    template({}, { echo: { 'properties.desired': { a: '${NONE}' } } }),
    {},
    /\.a$/,
    /NONE/,
  ],
  [
    'a missing variable of a module.json',
    template(),
    { env: {} },
    /module\.json/,
    /\$REGISTRY, which is not set/,
  ],
  [
    'a bad module.json',
    template(),
    { modules: [{ ...echo, moduleJsonText: '{"image": 1,}' }] },
    /module\.json:1:13/,
    /not JSON/,
  ],
  [
    'a module.json without platforms',
    template(),
    { modules: [{ ...echo, moduleJsonText: '{"image":{"repository":"a","tag":{"version":"1"}}}' }] },
    /module\.json/,
    /platform/,
  ],
  [
    'createOptions that are too long',
    template({ settings: { image: 'a:1', createOptions: { a: 'x'.repeat(5000) } } }),
    {},
    /createOptions/,
    /4096 at most/,
  ],
  [
    'createOptions that are no JSON',
    template({ settings: { image: 'a:1', createOptions: '{' } }),
    {},
    /createOptions/,
    /no JSON/,
  ],
  ['no type', template({ type: undefined }), {}, /echo\.type/, /missing/],
  ['no status', template({ status: undefined }), {}, /echo\.status/, /running, stopped/],
  ['no settings', template({ settings: undefined }), {}, /echo\.settings/, /missing/],
  [
    'a wrong restartPolicy',
    template({ restartPolicy: 'sometimes' }),
    {},
    /restartPolicy/,
    /never, on-failure, on-unhealthy, always/,
  ],
  ['a wrong startupOrder', template({ startupOrder: -1 }), {}, /startupOrder/, /whole number/],
  ['a wrong env', template({ env: { A: 'x' } }), {}, /env\.A/, /"value"/],
  ['a wrong name of a variable', template({ env: { 'A.B': { value: 'x' } } }), {}, /env/, /must not hold/],
  [
    'a bad name of a module',
    template({}, { 'a b': { 'properties.desired': {} } }),
    {},
    /a b/,
    /ASCII letters/,
  ],
];
for (const [title, content, input, path, problem] of wrong) {
  test(`finds ${title}`, () => {
    const { manifest, findings } = expand(content, input);
    assert.equal(manifest, undefined);
    const found = findings.find((finding) => path.test(finding.path) && problem.test(finding.problem));
    assert(found, JSON.stringify(findings, null, 1));
    assert.equal(found.severity, 'error');
  });
}

const standing: readonly (readonly [string, unknown])[] = [
  ['a price in a desired property', template({}, { echo: { 'properties.desired': { a: 'for $5' } } })],
  ['a name in small letters', template({}, { echo: { 'properties.desired': { a: '$name' } } })],
  [
    "a shell's variable in a command",
    template({
      settings: { image: 'a:1', createOptions: { Cmd: ['sh', '-c', 'cd $HOME_OF_ECHO && ls $1'] } },
    }),
  ],
  [
    "a shell's variable in a health check",
    template({
      settings: { image: 'a:1', createOptions: { Healthcheck: { Test: ['CMD-SHELL', 'test $NOBODY_SET'] } } },
    }),
  ],
];
for (const [title, content] of standing) {
  test(`leaves as it is, as the tools do: ${title}`, () => {
    const { manifest, findings } = expand(content);
    assert.deepEqual(findings, []);
    assert.match(JSON.stringify(manifest), /\$/);
  });
}

const forgotten: readonly (readonly [string, unknown, RegExp])[] = [
  ['a desired property', template({}, { echo: { 'properties.desired': { a: '$NONE' } } }), /desired'\]\.a$/],
  [
    'createOptions, cut into pieces as they are',
    template({
      settings: {
        image: 'a:1',
        createOptions: { Labels: { a: 'x'.repeat(470) }, HostConfig: { Binds: ['$NONE_OF_THESE:/data'] } },
      },
    }),
    /createOptions\.HostConfig\.Binds\[0\]$/,
  ],
];
for (const [title, content, path] of forgotten) {
  test(`warns of what looks like a forgotten variable, with a way to leave it, in ${title}`, () => {
    const { findings } = expand(content);
    const [found] = findings;
    assert(found !== undefined && findings.length === 1, JSON.stringify(findings, null, 1));
    assert.equal(found.severity, 'warning');
    assert.match(found.path, path);
    const [, name = '', value = ''] = /\((\w+)='(.*)' leaves it as it is\)/.exec(found.problem) ?? [];
    assert.deepEqual(expand(content, { env: { REGISTRY: 'r', [name]: value } }).findings, []);
  });
}

test('takes no property of every object for a variable', () => {
  const { findings } = expand(template({}, { echo: { 'properties.desired': { a: '${constructor}' } } }));
  assert.deepEqual(
    findings.map(({ problem }) => problem.includes('${constructor} is not set')),
    [true],
  );
});

test('finds all mistakes at once', () => {
  const { findings } = expand(
    template({ status: 'up', restartPolicy: 'x', settings: { image: '${MODULES.nope}' } }),
  );
  assert.equal(findings.length, 3);
});

test('never quotes the value of a variable that breaks the text', () => {
  const text = JSON.stringify(template({ env: { PASSWORD: { value: '$SECRET' } } }));
  const { findings } = expand(text, { env: { REGISTRY: 'r', SECRET: 'hush"hush' } });
  assert.equal(findings.length, 1);
  assert.doesNotMatch(JSON.stringify(findings), /hush/);
});
