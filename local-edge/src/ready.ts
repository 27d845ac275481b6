import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from './agent/agent.ts';
import type { NetworkTable } from './net/net-table.ts';

const metricsPort = 9600;
/** A module that has said for so long that it lacks desired properties will not get them by waiting. */
const unconfiguredMs = 3000;

/**
 * Waits until every module that runs from this checkout says that it is ready, that nobody has configured it, or has failed. Answers the names of those that
 * did not in time.
 */
export async function waitUntilReady(options: {
  readonly agent: Agent;
  readonly table: NetworkTable;
  readonly names: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}): Promise<string[]> {
  const deadline = Date.now() + options.timeoutMs;
  const ready = new Set<string>();
  const unconfiguredSince = new Map<string, number>();
  while (!options.signal.aborted) {
    const states = new Map(options.agent.list().map((one) => [one.name, one.status]));
    // There is nothing to wait for with a module that has ended, now or for a while.
    const waiting = options.names.filter((name) => !ready.has(name) && states.get(name) === 'running');
    for (const name of waiting) {
      const answer = await ask(options.table.find(name, metricsPort));
      if (answer === 'unconfigured') {
        const since = unconfiguredSince.get(name) ?? Date.now();
        unconfiguredSince.set(name, since);
        if (Date.now() - since >= unconfiguredMs) ready.add(name);
      } else {
        unconfiguredSince.delete(name);
        if (answer === 'ready') ready.add(name);
      }
    }
    if (waiting.every((name) => ready.has(name)) || Date.now() > deadline) break;
    await sleep(20, undefined, { signal: options.signal }).catch(() => undefined);
  }
  return options.names.filter((name) => !ready.has(name));
}

async function ask(port: number | undefined): Promise<'ready' | 'unconfigured' | 'not ready'> {
  if (port === undefined) return 'not ready';
  try {
    const reply = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) });
    const body = await reply.text();
    if (reply.ok) return 'ready';
    return /(?:set|or) the desired propert/.test(body) ? 'unconfigured' : 'not ready';
  } catch {
    return 'not ready';
  }
}
