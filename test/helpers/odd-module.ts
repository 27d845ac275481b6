/** A module that behaves as ODD says: started as a process by the tests of the runner. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runModule, SuiteError, text } from '@iotedge-redis/common';

const odd = process.env['ODD'] ?? '';
const never = new Promise<never>(() => undefined);

await runModule({
  name: 'odd',
  version: '9.8.7',
  fields: { note: text({ env: 'NOTE', twin: 'note', description: 'Anything.' }) },
  methods: ['Slow'],
  build: () => [
    {
      name: 'part',
      uses: [],
      create: () => ({
        name: 'part',
        methods: {
          Slow: async () => {
            await sleep(300);
            return { status: 200, payload: 'slept' };
          },
        },
        async start() {
          if (odd === 'throws')
            setTimeout(() => {
              throw new SuiteError('INTERNAL', 'first line\nsecond line at redis://u:hunter2@h');
            }, 50);
          if (odd === 'rejects')
            setTimeout(() => void Promise.reject(new SuiteError('INTERNAL', 'nobody waits')), 50);
          if (odd === 'blocks')
            setTimeout(() => {
              for (;;);
            }, 50);
          if (odd === 'cannot start') await never;
        },
        async stop() {
          if (odd === 'hangs') await never;
          if (odd === 'fails') throw new SuiteError('INTERNAL', 'stopping: broken');
        },
        health: () => ({ state: 'ok' }),
      }),
    },
  ],
  commands: {
    sum: async (context, _settings, signal) => {
      context.log.info('summing up');
      if (odd === 'waits')
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 60_000);
          signal.addEventListener('abort', () => {
            clearTimeout(timer);
            resolve();
          });
        });
      return { exitCode: signal.aborted ? 4 : 3, result: { total: 5 } };
    },
  },
});
