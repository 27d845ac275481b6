import { join } from 'node:path';
import { HealthWatch } from './health-check.ts';
import { Launcher } from './launcher.ts';
import type { LauncherOptions } from './launcher.ts';
import type { DesiredModule } from './desired-modules.ts';
import type { ModuleLog } from './module-log.ts';
import { startProcess } from './module-process.ts';
import type { ForeignServer, ModuleRun, ModuleRunner } from './module-runner.ts';
import { ProcessRecords } from './process-records.ts';

/** Modules as processes of this machine. */
export class ProcessRunner implements ModuleRunner {
  readonly #options: LauncherOptions;
  readonly #launcher: Launcher;
  readonly #records: ProcessRecords;

  constructor(options: LauncherOptions) {
    this.#options = options;
    this.#launcher = new Launcher(options);
    this.#records = new ProcessRecords(join(options.stateDir, 'run'));
  }

  async clean(): Promise<readonly string[]> {
    const names = await this.#records.reap();
    this.#launcher.clearMemory();
    return names.map((name) => `${name}: ended the process of an earlier run`);
  }

  async start(module: DesiredModule, output: ModuleLog): Promise<ModuleRun | ForeignServer> {
    const { name } = module;
    const plan = await this.#launcher.plan(module);
    if ('address' in plan) return plan;
    const process = await startProcess(plan, output);
    this.#records.add(name, process.pid);
    const { exec, healthcheck, cwd, notes, without } = plan;
    return {
      kind: 'run',
      pid: process.pid,
      notes,
      without,
      ended: process.ended.then((code) => {
        if (plan.registersPorts) this.#options.table.clear(name, false);
        this.#records.remove(name);
        return code;
      }),
      stop: () => process.stop(),
      watchHealth(report) {
        if (healthcheck === null) return () => undefined;
        const watch = new HealthWatch(healthcheck, cwd, report);
        return () => watch.stop();
      },
      exec: (words) => ({ words: exec.words(words), env: exec.env, cwd }),
    };
  }

  discard(name: string): Promise<void> {
    this.#launcher.discard(name);
    return Promise.resolve();
  }

  close(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }
}
