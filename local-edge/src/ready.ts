import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from './agent/agent.ts';
import type { NetworkTable } from './net/net-table.ts';

const metricsPort = 9600;

/**
 * Waits until every module that runs from this checkout says that it is ready, or has failed. Answers the names of those that
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
  while (!options.signal.aborted) {
    const states = new Map(options.agent.list().map((one) => [one.name, one.status]));
    // There is nothing to wait for with a module that has ended, now or for a while.
    const waiting = options.names.filter((name) => !ready.has(name) && states.get(name) === 'running');
    for (const name of waiting) if (await isReady(options.table.find(name, metricsPort))) ready.add(name);
    if (waiting.every((name) => ready.has(name)) || Date.now() > deadline) break;
    await sleep(20, undefined, { signal: options.signal }).catch(() => undefined);
  }
  return options.names.filter((name) => !ready.has(name));
}

async function isReady(port: number | undefined): Promise<boolean> {
  if (port === undefined) return false;
  try {
    const reply = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) });
    await reply.body?.cancel();
    return reply.ok;
  } catch {
    return false;
  }
}
