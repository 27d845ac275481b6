import { SuiteError } from './errors.ts';
import type { ModuleDefinition } from './module.ts';
import type { Fields } from './settings.ts';

/** Runs a module until it is told to stop: the one call of a module's `main.ts`. */
export function runModule<F extends Fields>(definition: ModuleDefinition<F>): Promise<void> {
  return Promise.reject(
    new SuiteError('INTERNAL', `starting ${definition.name}: the runner is not there yet`),
  );
}
