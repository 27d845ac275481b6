import { hostname } from 'node:os';
import { createStandaloneEdge } from '../edge/standalone-edge.ts';
import type { JsonObject } from '../edge/edge.ts';
import { SuiteError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import type { ModuleDefinition } from './module.ts';
import type { Fields, SettingsOf } from '../settings/settings.ts';
import type { CommonFields } from '../settings/settings-common.ts';
import { allFields } from '../settings/settings-common.ts';
import type { Check, Sources } from '../settings/settings-parse.ts';
import { parseSettings } from '../settings/settings-parse.ts';

export interface CommandOptions {
  readonly sources: Omit<Sources, 'desired'>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Runs one long operation of a module to its end, without edgeHub and without an HTTP server. */
export async function runCommand<F extends Fields>(
  definition: ModuleDefinition<F>,
  command: string,
  { sources, log, signal }: CommandOptions,
): Promise<{ exitCode: number; result: JsonObject }> {
  const run = definition.commands?.[command];
  if (!run)
    throw new SuiteError(
      'INTERNAL',
      `running the command ${command}: ${definition.name} has none of that name`,
    );
  const fields = allFields(definition);
  const check: Check<Fields> | undefined =
    definition.check && ((given) => definition.check?.(given as SettingsOf<F>) ?? []);
  const { settings } = parseSettings(fields, sources, check);
  const { logLevel, instanceName, stateDir } = settings as SettingsOf<CommonFields>;
  log.level = logLevel;
  const instance = instanceName ?? definition.name;
  const edge = createStandaloneEdge({ deviceId: hostname(), moduleId: instance });
  const context = {
    name: definition.name,
    instance,
    stateDir,
    log,
    metrics: createMetrics({ prefix: definition.name }),
    edge,
    settingsVersion: () => 0,
    report: () => undefined,
  };
  return run(context, settings as SettingsOf<F>, signal);
}
