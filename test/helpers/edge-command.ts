import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { CliIo } from '../../local-edge/src/cli/cli-io.ts';
import { runCli } from '../../local-edge/src/cli/run-cli.ts';
import type { HubFacts } from '../../local-edge/src/hub-facts.ts';
import type {
  AgentControl,
  ExecCommand,
  LogsOptions,
  ModuleStatus,
} from '../../local-edge/src/control/control-api.ts';
import { createControlServer } from '../../local-edge/src/control/control-server.ts';
import { EdgeError } from '../../local-edge/src/errors.ts';
import type { ServiceFixture } from './service-api.ts';
import { startServiceApi } from './service-api.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An agent whose modules do nothing but be listed, logged and restarted. */
export class StillAgent implements AgentControl {
  readonly restarted: string[] = [];
  readonly lines = ['one', 'two', 'three'];

  list(): ModuleStatus[] {
    const rest = { restartCount: 0, exitCode: null, startedAt: '2026-01-31T12:00:00Z', pid: 1 };
    return [
      { ...rest, name: 'edgeHub', status: 'running', description: 'Up a minute', image: 'edgehub:1.5' },
      { ...rest, name: 'worker', status: 'backoff', description: 'next start in 20 s', image: 'worker:1' },
    ];
  }

  restart(name: string): Promise<void> {
    if (name === 'edgeHub')
      return Promise.reject(new EdgeError('REFUSED', 'edgeHub is part of the local edge'));
    this.restarted.push(name);
    return Promise.resolve();
  }

  exec(name: string, words: readonly string[]): ExecCommand {
    return { words: [...words, `in ${name}`], env: { A: '1' }, cwd: '/' };
  }

  async *logs(_name: string, { tail, follow, signal }: LogsOptions): AsyncGenerator<string> {
    yield* tail === undefined ? this.lines : this.lines.slice(-tail);
    if (!follow || signal.aborted) return;
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
  }
}

export interface CommandFixture {
  readonly service: ServiceFixture;
  readonly agent: StillAgent;
  readonly root: string;
  /** What happens when the command asks the local edge to stop. */
  onStop(action: () => void): void;
  writeHubFacts(change?: Partial<HubFacts>): void;
  /** Runs `edge …` in the folder of the local edge. */
  edge(...argv: string[]): Promise<CommandResult>;
  run(argv: readonly string[], io?: Partial<CliIo>): Promise<CommandResult>;
  stop(): Promise<void>;
}

/** A hub and a control socket, and the command as a user in that folder has it. */
export async function startForCommand(): Promise<CommandFixture> {
  const root = mkdtempSync(join(tmpdir(), 'edge-'));
  const stateDir = join(root, '.edge');
  mkdirSync(stateDir);
  const service = await startServiceApi();
  const agent = new StillAgent();
  const socket = join(root, 'control.sock');
  let stopping: () => void = () => undefined;
  const control = createControlServer({
    path: socket,
    hub: service.hub,
    agent,
    runtime: {
      moduleEnv: (name) => {
        service.hub.identities.add(name);
        return Promise.resolve({ IOTEDGE_MODULEID: name, ODD: "it's" });
      },
      stop: () => stopping(),
    },
  });
  await control.start();
  const writeHubFacts = (change: Partial<HubFacts> = {}): void => {
    const hub: HubFacts = {
      hostName: 'localhost',
      port: service.api.port,
      deviceId: 'dev-1',
      gatewayHostName: 'localhost',
      edgeHubPort: 8883,
      httpsPort: null,
      serviceConnectionString: service.connectionString,
      serviceConnectionStringWithPort: service.connectionString.replace(
        'localhost',
        `localhost:${service.api.port}`,
      ),
      caFile: service.caFile,
      controlSocket: socket,
      pid: process.pid,
      ...change,
    };
    writeFileSync(join(stateDir, 'hub.json'), JSON.stringify(hub));
  };
  writeHubFacts();
  const run: CommandFixture['run'] = async (argv, io = {}) => {
    let stdout = '';
    let stderr = '';
    const code = await runCli(argv, {
      stdout: (text) => (stdout += text),
      stderr: (text) => (stderr += text),
      env: {},
      cwd: root,
      signal: new AbortController().signal,
      run: () => Promise.resolve(0),
      start: () => Promise.resolve(77),
      ...io,
    });
    return { code, stdout, stderr };
  };
  return {
    service,
    agent,
    root,
    onStop: (action) => {
      stopping = action;
    },
    writeHubFacts,
    run,
    edge: (...argv) => run(argv),
    stop: async () => {
      await control.stop();
      await service.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
