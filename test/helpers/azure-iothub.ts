import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

import type { JsonValue } from '../../local-edge/src/hub/hub-api.ts';
import { onEnd } from './cleanup.ts';
import { edgeProgram } from './edge-process.ts';
import type { EdgeProcess } from './edge-process.ts';
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

const worker = fileURLToPath(new URL('./azure-iothub-worker.ts', import.meta.url));

export function startAzureIothub(fixture: ServiceFixture): AzureIothub {
  return drive(
    spawn(process.execPath, [worker], { env: environment(fixture), stdio: ['pipe', 'pipe', 'inherit'] }),
  );
}

/** The same as a user has it: in a shell that has evaluated what `edge env` prints. */
export function startAzureIothubFor(t: TestContext, edge: EdgeProcess): AzureIothub {
  const script = 'variables=$("$0" "$1" env) && eval "$variables" && exec "$0" "$2"';
  const args = ['-c', script, process.execPath, edgeProgram, worker];
  const sdk = drive(spawn('sh', args, { env: edge.env, stdio: ['pipe', 'pipe', 'inherit'] }));
  onEnd(t, () => sdk.stop());
  return sdk;
}

function drive(child: ChildProcess): AzureIothub {
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
