import type { Clock } from '@iotedge-redis/common';
import { parseCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { RedisSink } from './redis-sink.ts';
import type { RunPlan } from './run-plan.ts';

/**
 * Marks the unfinished run of the plan in Redis as cancelled, so that a restart does not take it up. Undefined when there is
 * none: what is cancelled had not begun yet, and what Redis holds is of a run before it.
 */
export async function markCancelled(
  sink: RedisSink,
  plan: RunPlan,
  clock: Clock,
): Promise<Checkpoint | undefined> {
  const held = parseCheckpoint(await sink.load());
  const isUnfinished = held?.state === 'running' || held?.state === 'sweeping';
  if (!isUnfinished || held.run !== plan.run(held.etag)) return undefined;
  const cancelled: Checkpoint = {
    ...held,
    state: 'cancelled',
    finishedAt: clock.now(),
    code: 'CANCELLED',
    message: 'the run was cancelled; Sync goes on with it',
  };
  await sink.begin(JSON.stringify(cancelled));
  return cancelled;
}
