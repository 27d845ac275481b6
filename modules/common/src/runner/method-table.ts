import type { JsonObject, MethodHandler, MethodReply, MethodRequest } from '../edge/edge.ts';
import { errorText } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { redactText } from '../redact.ts';

/** IoT Hub takes no larger reply. */
export const MAX_METHOD_BYTES = 128 * 1024;

export interface MethodTable {
  /** The handler to register with the edge: it always answers. */
  handler(name: string): MethodHandler;
  /** Takes no more calls and waits for those under way, until the signal aborts. */
  stop(signal: AbortSignal): Promise<void>;
}

export interface MethodTableOptions {
  /** The handler of the component that is active now. */
  readonly find: (name: string) => MethodHandler | undefined;
  /** Why there is none. */
  readonly whyNot: () => string;
  readonly log: Log;
  readonly metrics: Metrics;
}

export function methodFailure(status: number, text: string): MethodReply {
  return { status, payload: { Message: redactText(text), Status: status } satisfies JsonObject };
}

export function createMethodTable({ find, whyNot, log, metrics }: MethodTableOptions): MethodTable {
  const calls = metrics.counter('method_calls_total', 'Direct methods answered', ['method', 'status']);
  const seconds = metrics.histogram(
    'method_seconds',
    'Time from a direct method to its reply',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 3, 10],
    ['method'],
  );
  const underWay = new Set<Promise<unknown>>();
  let isStopping = false;

  const run = async (request: MethodRequest): Promise<MethodReply> => {
    const { name } = request;
    if (isStopping) return methodFailure(503, 'the module is stopping');
    const handle = find(name);
    if (!handle) return methodFailure(503, whyNot());
    try {
      const reply = await handle(request);
      const bytes = Buffer.byteLength(JSON.stringify(reply.payload));
      if (bytes <= MAX_METHOD_BYTES) return reply;
      return methodFailure(
        413,
        `${name}: the reply of ${bytes} bytes is larger than the ${MAX_METHOD_BYTES} that IoT Hub takes`,
      );
    } catch (error) {
      log.error('a direct method failed', {
        method: name,
        requestId: request.requestId,
        error: errorText(error),
      });
      return methodFailure(500, `${name} error: ${errorText(error)}`);
    }
  };

  const observed = async (request: MethodRequest): Promise<MethodReply> => {
    const begin = performance.now();
    const reply = await run(request);
    const elapsed = performance.now() - begin;
    calls.inc({ method: request.name, status: String(reply.status) });
    seconds.observe(elapsed / 1000, { method: request.name });
    log.debug('direct method', {
      method: request.name,
      requestId: request.requestId,
      status: reply.status,
      ms: Math.round(elapsed * 10) / 10,
    });
    return reply;
  };

  return {
    handler: () => (request) => {
      const call = observed(request);
      underWay.add(call);
      return call.finally(() => underWay.delete(call));
    },
    async stop(signal) {
      isStopping = true;
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([Promise.allSettled(underWay), aborted]);
    },
  };
}
