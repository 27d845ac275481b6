import type { ModuleRunner } from './agent/module-runner.ts';
import { gatewayName } from './engine/container-request.ts';
import type { ContainerRunnerOptions } from './engine/container-runner.ts';
import type { Engine } from './engine/engine.ts';

/** The engine of this machine. What runs containers is loaded only when it is asked for. */
export async function findEngine(env: NodeJS.ProcessEnv): Promise<Engine> {
  const { openEngine } = await import('./engine/engine.ts');
  return openEngine(env);
}

/** Name and address of this machine for the containers of an engine. */
export function gatewayOf(engine: Engine): { readonly name: string; readonly address: string } {
  return { name: gatewayName, address: engine.gateway };
}

export async function containersOf(
  engine: Engine,
  options: Omit<ContainerRunnerOptions, 'engine'>,
): Promise<ModuleRunner> {
  const { ContainerRunner } = await import('./engine/container-runner.ts');
  return new ContainerRunner({ engine, ...options });
}
