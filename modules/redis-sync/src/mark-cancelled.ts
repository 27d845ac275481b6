import type { Clock } from '@iotedge-redis/common';
import { parseCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { RedisSink } from './redis-sink.ts';

/** Marks the unfinished run in Redis as cancelled, so that a restart does not take it up; undefined when there is none. */
export async function markCancelled(sink: RedisSink, clock: Clock): Promise<Checkpoint | undefined> {
  const held = parseCheckpoint(await sink.load());
  if (held === undefined || held.state === 'done') return undefined;
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
