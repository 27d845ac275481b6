import type { AzureEdgeOptions } from '../../modules/common/src/edge/azure-edge.ts';
import { createAzureEdge } from '../../modules/common/src/edge/azure-edge.ts';
import type { DesiredDocument, Edge, EdgeStatus, JsonObject } from '../../modules/common/src/edge/edge.ts';
import { createLog } from '../../modules/common/src/log.ts';

/** A module's end of the edge port, with everything it was told. */
export interface AzureModule {
  readonly edge: Edge;
  readonly statuses: EdgeStatus[];
  readonly documents: DesiredDocument[];
  readonly reports: JsonObject[];
  readonly lines: string[];
  /** Resolves as soon as the condition holds; fails after the time. */
  until(condition: () => boolean, ms?: number): Promise<void>;
  connected(): Promise<void>;
  stop(): Promise<void>;
}

/** Waits are short here: tests show what happens, not how long a real device would wait before it does. */
const QUICK: Partial<AzureEdgeOptions> = {
  backoff: { firstMs: 20, maxMs: 200 },
  limits: { connectMs: 2000, answerMs: 1000, sendMs: 1000, closeMs: 500 },
};

export function createAzureModule(
  environment: Record<string, string>,
  options: Partial<AzureEdgeOptions> = {},
): AzureModule {
  const lines: string[] = [];
  const statuses: EdgeStatus[] = [];
  const documents: DesiredDocument[] = [];
  const reports: JsonObject[] = [];
  const edge = createAzureEdge({
    environment,
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
    ...QUICK,
    ...options,
    limits: { ...QUICK.limits, ...options.limits },
  });
  edge.onStatus((status) => statuses.push(status));
  edge.onDesired((document) => documents.push(document));
  edge.onReported((reported) => reports.push(reported));
  const until: AzureModule['until'] = (condition, ms = 5000) =>
    waitUntil(condition, ms, () => `${JSON.stringify({ statuses, documents })}\n${lines.join('')}`);
  return {
    edge,
    statuses,
    documents,
    reports,
    lines,
    until,
    connected: () => until(() => edge.status.state === 'connected'),
    stop: () => edge.stop(AbortSignal.timeout(2000)),
  };
}

export async function waitUntil(condition: () => boolean, ms: number, state: () => string): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end)
      throw new Error(`waited ${ms} ms in vain; ${condition.toString()}; ${state()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
