import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { JsonValue } from '../../local-edge/src/hub/hub-api.ts';
import type { ServiceFixture } from './service-api.ts';

export interface SdkError {
  readonly name: string;
  readonly message: string;
  readonly body: string;
  readonly status: number;
}

export interface SdkAnswer {
  readonly result?: JsonValue;
  readonly error?: SdkError;
}

/** The official service SDK, unmodified, in a child process that trusts the CA and is redirected by the preload. */
export interface AzureIothub {
  call(on: 'registry' | 'client' | 'query', call: string, ...args: readonly unknown[]): Promise<SdkAnswer>;
  stop(): Promise<void>;
}

function environment(fixture: ServiceFixture): NodeJS.ProcessEnv {
  const preload = new URL('../../local-edge/src/service-preload.js', import.meta.url);
  preload.search = new URLSearchParams({ host: 'localhost', port: String(fixture.api.port) }).toString();
  return {
    ...process.env,
    IOTHUB_CONNECTION_STRING: fixture.connectionString,
    NODE_EXTRA_CA_CERTS: fixture.caFile,
    NODE_OPTIONS: `--import=${preload.href}`,
  };
}

export function startAzureIothub(fixture: ServiceFixture): AzureIothub {
  const worker = fileURLToPath(new URL('./azure-iothub-worker.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [worker], {
    env: environment(fixture),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the worker has no pipes');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    async call(on, call, ...args) {
      stdin.write(`${JSON.stringify({ on, call, args })}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the service SDK ended its process');
      return JSON.parse(line.value) as SdkAnswer;
    },
    async stop() {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      stdin.end();
      await ended;
    },
  };
}
