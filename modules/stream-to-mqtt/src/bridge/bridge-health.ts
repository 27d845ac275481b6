import type { ComponentHealth, JsonObject } from '@iotedge-redis/common';
import type { Sink } from '../sink/sink.ts';
import type { BridgedStream } from '../streams/bridged-stream.ts';
import type { Database } from '../streams/database.ts';

/** The state of the bridge: the first thing that is wrong, the gravest first. */
export function healthOf(parts: {
  readonly databases: readonly Pick<Database, 'db' | 'source'>[];
  readonly sink: Pick<Sink<unknown>, 'place' | 'status'> | undefined;
  readonly pauses: ReadonlyMap<string, string>;
  readonly streams: readonly BridgedStream[];
  readonly maxBacklog: number;
  readonly summary: JsonObject;
}): ComponentHealth {
  const { databases, sink, pauses, streams, maxBacklog } = parts;
  const data: JsonObject = {
    ...parts.summary,
    sink: sink?.place ?? '',
    sinkState: sink?.status.state ?? 'connecting',
  };
  for (const { source, db } of databases) {
    const { state, error } = source.commands.status;
    if (state !== 'ready')
      return { state: 'down', detail: error?.message ?? `database ${db} is not connected`, data };
  }
  const degraded = (detail: string): ComponentHealth => ({ state: 'degraded', detail, data });
  if (sink?.status.state !== 'ready')
    return degraded(sink?.status.reason ?? 'not connected to the broker yet');
  const [pause] = pauses.values();
  if (pause !== undefined) return degraded(`paused: ${pause}`);
  const backlog = ({ figures }: BridgedStream): number => (figures?.lag ?? 0) + (figures?.pending ?? 0);
  const over = maxBacklog > 0 ? streams.filter((stream) => backlog(stream) > maxBacklog) : [];
  if (over.length > 0) return degraded(`the backlog of ${over.length} streams is above ${maxBacklog}`);
  const odd = streams.find(({ problem }) => problem !== undefined);
  if (odd !== undefined) return degraded(`${odd.shown}: ${odd.problem ?? ''}`);
  return { state: 'ok', data };
}
