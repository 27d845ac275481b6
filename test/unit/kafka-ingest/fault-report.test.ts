import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '@iotedge-redis/common';
import { FaultReport } from '../../../modules/kafka-ingest/src/lane/fault-report.ts';
import { createHeldClock } from '../../helpers/held-clock.ts';

test('KI-16: bad records that follow each other are told of at once, then together every ten seconds, and none is left out', async () => {
  const clock = createHeldClock();
  const lines: string[] = [];
  const log = createLog({ level: 'info', write: (line) => void lines.push(line) });
  const report = new FaultReport({ topic: 't', partition: 3 }, clock, log);
  const told = (): string[] =>
    lines.splice(0).map((line) => {
      const number = (name: string): string => new RegExp(`"${name}":(\\d+)`).exec(line)?.[1] ?? '?';
      return ['deadLetters', 'skipped', 'before'].map(number).join(' ');
    });
  const call = (next: number, skipped: number) => ({
    next,
    skipped,
    fault: { code: 'BAD_JSON', reason: 'the value is no JSON object' } as const,
  });
  report.add(0, call(1, 0));
  deepEqual(told(), []);
  report.add(2, call(10, 0));
  deepEqual(told(), ['2 0 10']);
  for (let next = 11; next < 1000; next += 1) report.add(1, call(next, 1));
  deepEqual(told(), []);
  await clock.advance(10_000);
  deepEqual(told(), ['989 989 999']);
  await clock.advance(60_000);
  report.add(1, call(2000, 0));
  report.add(1, call(2001, 0));
  deepEqual(told(), ['1 0 2000']);
  report.end();
  deepEqual(told(), ['1 0 2001']);
});
