import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModuleDefinition } from '@iotedge-redis/common';
import { createLog, integer } from '@iotedge-redis/common';
import { runCommand } from '../../../../modules/common/src/runner/run-command.ts';

const fields = { size: integer({ env: 'SIZE', twin: 'size', default: 1, description: '' }) };
const definition: ModuleDefinition<typeof fields> = {
  name: 'counter',
  version: '1.0.0',
  fields,
  check: ({ size }) => (size === 13 ? [{ name: 'size', problem: 'unlucky' }] : []),
  methods: [],
  build: () => [],
  commands: {
    count: (context, { size }, signal) => {
      const { instance, name } = context;
      context.report('progress', 1);
      return Promise.resolve({ exitCode: signal.aborted ? 2 : 0, result: { instance, name, size } });
    },
  },
};
const log = createLog({ write: () => undefined });
const signal = new AbortController().signal;

test('a command runs with the settings of the host and hands its result back', async () => {
  const sources = { environment: { SIZE: '5', INSTANCE_NAME: 'second', LOG_LEVEL: 'error' } };
  assert.deepEqual(await runCommand(definition, 'count', { sources, log, signal }), {
    exitCode: 0,
    result: { instance: 'second', name: 'counter', size: 5 },
  });
  assert.equal(log.level, 'error');
});

test('wrong settings end it before it begins', async () => {
  const run = (SIZE: string): Promise<unknown> =>
    runCommand(definition, 'count', { sources: { environment: { SIZE } }, log, signal });
  await assert.rejects(run('x'), /environment SIZE: expected an integer/);
  await assert.rejects(run('13'), /environment SIZE: unlucky/);
});

test('an unknown command is a programming error', async () => {
  await assert.rejects(runCommand(definition, 'sum', { sources: {}, log, signal }), /has none of that name/);
});
