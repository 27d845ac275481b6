import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemClock } from '../clock.ts';
import { parseCommandLine } from './command-line.ts';
import { ConfigError, errorText } from '../errors.ts';
import type { Log } from '../log.ts';
import { createLog } from '../log.ts';
import type { ModuleDefinition } from './module.ts';
import type { ProcessFacts } from './process-metrics.ts';
import { runCommand } from './run-command.ts';
import type { Fields } from '../settings/settings.ts';
import { awaitSecretFiles } from './secret-files.ts';
import { allFields } from '../settings/settings-common.ts';
import { parseConfigFile } from '../settings/settings-file.ts';
import type { Sources } from '../settings/settings-parse.ts';
import { settingsHelp } from '../settings/settings-table.ts';
import type { RunningModule } from './start-module.ts';
import { startModule } from './start-module.ts';
import { readV8Flags, setV8Flags, tellRefused } from './v8-flags.ts';

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;
/** After this time a module is up, wherever it can be. */
const UP_MS = 2000;

/** Runs a module until it is told to stop: the one call of a module's `main.ts`. It ends the process. */
export async function runModule<F extends Fields>(definition: ModuleDefinition<F>): Promise<void> {
  const commands = Object.keys(definition.commands ?? {});
  let log = createLog();
  try {
    const line = parseCommandLine(process.argv.slice(2), commands);
    if (line.action !== 'run') {
      process.stdout.write(
        line.action === 'version' ? `${definition.version}\n` : help(definition, commands),
      );
      return;
    }
    // The standard output of a command is its result.
    log = createLog({ descriptor: line.command === undefined ? STANDARD_OUTPUT : STANDARD_ERROR });
    endOnAccidents(log);
    const sources: Omit<Sources, 'desired'> = {
      environment: process.env,
      commandLine: line.settings,
      file: line.configFile === undefined ? undefined : readConfigFile(line.configFile),
      readSecret: (path) => readFileSync(path, 'utf8'),
    };
    if (line.command === undefined) {
      const starting = Promise.withResolvers<RunningModule>();
      // Before the start's first line: process 1 of a container misses a signal for which there is no handler.
      endOnSignals(starting.promise, log);
      const look = { exists: existsSync, clock: systemClock };
      await awaitSecretFiles(allFields(definition), process.env, look);
      starting.resolve(startModule(definition, { sources, log, hostName: hostname(), processFacts }));
      await starting.promise;
      const asked = readV8Flags(process.env['V8_FLAGS_WHEN_UP'] ?? '');
      tellRefused(asked, log);
      setTimeout(() => setV8Flags(asked.flags, log), UP_MS).unref();
      return;
    }
    const stop = new AbortController();
    const onSignal = (): void => (stop.signal.aborted ? process.exit(1) : stop.abort());
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
    const { exitCode, result } = await runCommand(definition, line.command, {
      sources,
      log,
      signal: stop.signal,
    });
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(exitCode));
  } catch (error) {
    tellFatal(error, log);
    process.exit(1);
  }
}

function readConfigFile(path: string): ReturnType<typeof parseConfigFile> {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    const problem = `expected the path of a file that can be read${why}: ${path}`;
    throw new ConfigError([{ origin: 'command line', name: '--config-file', problem }]);
  }
  return parseConfigFile(content, path);
}

function tellFatal(error: unknown, log: Log): void {
  if (error instanceof ConfigError) {
    for (const { origin, name, problem } of error.mistakes)
      log.error(`setting ${name}: ${problem}`, { from: origin });
    log.fatal('the module cannot start with these settings', { mistakes: error.mistakes.length });
    return;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  log.fatal('the module ends', { error: errorText(error), ...(stack === undefined ? {} : { stack }) });
}

/** What nobody caught leaves the process in a state that nobody knows: edgeAgent or Docker starts it again. */
function endOnAccidents(log: Log): void {
  const end = (error: unknown): void => {
    tellFatal(error, log);
    process.exit(1);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

function endOnSignals(starting: Promise<RunningModule>, log: Log): void {
  const hurry = new AbortController();
  let isStopping = false;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (isStopping) {
      log.warn('told to stop again: now', { signal });
      process.exit(1);
    }
    isStopping = true;
    const running = await starting;
    setTimeout(() => hurry.abort(), running.drainMs);
    setTimeout(() => {
      log.error('the module did not stop in time', { deadlineMs: running.stopDeadlineMs });
      process.exit(1);
    }, running.stopDeadlineMs);
    const isClean = await running.stop(hurry.signal);
    log.info('module stopped', { signal });
    process.exit(isClean ? 0 : 1);
  };
  // A start that fails is told by whoever waits for it.
  const onSignal = (signal: NodeJS.Signals): void => void stop(signal).catch(() => undefined);
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function processFacts(): ProcessFacts {
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    startTimeSeconds: Math.round(Date.now() - process.uptime() * 1000) / 1000,
  };
}

function help<F extends Fields>(definition: ModuleDefinition<F>, commands: readonly string[]): string {
  const usage = commands.length > 0 ? ` [${commands.join(' | ')}]` : '';
  return `${definition.name} ${definition.version}

Usage: node main.js${usage} [--config-file FILE] [--log-level LEVEL] [--help] [--version]

Settings, by environment variable, by config file (NAME=VALUE lines or a JSON object) and, where a twin name
is given, by desired property; the later one wins:

${settingsHelp(allFields(definition))}
`;
}
