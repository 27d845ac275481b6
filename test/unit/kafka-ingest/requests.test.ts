import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '@iotedge-redis/common';
import { parseReplayRequest, parseStatusRequest } from '../../../modules/kafka-ingest/src/ingest-requests.ts';

test('the payload of a method may be left out, and gives what is in it', () => {
  for (const nothing of [null, '', {}])
    deepEqual(parseReplayRequest(nothing), {
      limit: 100,
      topic: undefined,
      onlyIfAbsent: false,
      after: undefined,
    });
  deepEqual(
    parseReplayRequest({ limit: 7, topic: 't', onlyIfAbsent: true, continuation: '1700000000000-3' }),
    { limit: 7, topic: 't', onlyIfAbsent: true, after: '1700000000000-3' },
  );
  deepEqual(parseStatusRequest({ topic: 't', limit: 5, continuation: '10' }), {
    topic: 't',
    limit: 5,
    from: 10,
  });
});

test('KI-14: what is misspelt or of another type is refused, and not taken for the default', () => {
  const bad: readonly (readonly [JsonValue, string])[] = [
    [
      { onlyifabsent: true },
      'unknown name in the payload; expected limit, topic, onlyIfAbsent, continuation',
    ],
    [{ onlyIfAbsent: 'true' }, 'onlyIfAbsent: expected true or false'],
    [{ limit: '5' }, 'limit: expected a whole number from 1 to 1000'],
    [{ limit: 0 }, 'limit: expected a whole number from 1 to 1000'],
    [{ limit: 1001 }, 'limit: expected a whole number from 1 to 1000'],
    [{ topic: 5 }, 'topic: expected a text'],
    [{ continuation: '-' }, 'continuation: expected the one of the answer before'],
    ['dead letters', 'expected no payload, or an object with limit, topic, onlyIfAbsent, continuation'],
    [[1], 'expected no payload, or an object with limit, topic, onlyIfAbsent, continuation'],
  ];
  for (const [payload, problem] of bad) deepEqual(parseReplayRequest(payload), { problem });
  deepEqual(parseStatusRequest({ limit: 101 }), { problem: 'limit: expected a whole number from 1 to 100' });
});
