import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, RedisConnection, redisTarget } from '@iotedge-redis/common';
import { Assignment } from '../../../modules/kafka-ingest/src/kafka/assignment.ts';
import { Gate } from '../../../modules/kafka-ingest/src/lane/gate.ts';
import { noCounts } from '../../../modules/kafka-ingest/src/lane/lane-counters.ts';
import { PartitionLane } from '../../../modules/kafka-ingest/src/lane/partition-lane.ts';
import { RedisSink } from '../../../modules/kafka-ingest/src/apply/redis-sink.ts';
import { shapeOf } from '../../../modules/kafka-ingest/src/settings.ts';
import { createHeldClock } from '../../helpers/held-clock.ts';
import { ingestSettings } from '../../helpers/ingest-part.ts';

test('KI-6: a partition that another instance still works on while its position is looked up is not taken for one that was made anew', async () => {
  const clock = createHeldClock();
  const log = createLog({ level: 'fatal', write: () => undefined });
  const settings = ingestSettings({ redisHost: '127.0.0.1' });
  const connection = new RedisConnection({ target: redisTarget(settings), name: 'never connected', log });
  // Records come and are applied all the time.
  let applied = 100;
  const goesOn = (): number => (applied += 10);
  const begun: number[] = [];
  const moves: number[] = [];
  const assignment = new Assignment({
    source: {
      clusterId: 'c',
      begin: (_place, offset) => void begun.push(offset),
      pause: () => undefined,
      committed: () => Promise.resolve(new Map()),
      watermarks: () => Promise.resolve(new Map([[0, { low: 0, high: goesOn() }]])),
    },
    positions: {
      read: () => Promise.resolve({ next: goesOn(), timestamp: undefined }),
      move: (_keys, _from, to) => {
        moves.push(to);
        return Promise.resolve({ changesRestarted: false });
      },
      clusterOf: () => Promise.resolve(undefined),
      noteCluster: () => Promise.resolve(),
    },
    policy: () => settings,
    createLane: (place) =>
      new PartitionLane({
        ...place,
        keys: { position: 'position', changes: 'changes' },
        sink: new RedisSink(connection, 1000),
        gate: new Gate(),
        limits: () => ({ maxRecords: 10, maxBytes: 1000 }),
        shape: () => shapeOf(settings),
        admit: () => Promise.resolve(),
        totals: noCounts(),
        clock,
        log,
        onLost: () => undefined,
        onChange: () => undefined,
      }),
    clock,
    log,
    onChange: () => undefined,
  });
  assignment.set([{ topic: 't', partition: 0 }]);
  await clock.advance(0);
  deepEqual(moves, []);
  deepEqual(begun, [110]);
  equal(assignment.lanes[0]?.standing.counters.mismatches, 0);
  await assignment.stop();
});
