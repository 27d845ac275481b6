import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shareOut } from '../../../modules/kafka-ingest/src/kafka/partition-shares.ts';

const topics = ['a', 'b', 'constructor', '__proto__'];

test('KI-10 KI-40: each partition goes to one member that reads its topic, if there is one, and the shares are even', () => {
  const members = fc.uniqueArray(fc.record({ id: fc.string(), topics: fc.subarray(topics) }), {
    selector: ({ id }) => id,
    maxLength: 8,
  });
  const counts = fc.tuple(...topics.map(() => fc.nat({ max: 12 })));
  fc.assert(
    fc.property(members, counts, (given, numbers) => {
      const partitions = new Map(
        topics.map((topic, at) => [topic, Array.from({ length: numbers[at] ?? 0 }, (_, n) => n)]),
      );
      const shares = shareOut(given, partitions);
      equal(shares.size, given.length);
      const seen = given.flatMap(({ id, topics: own }) =>
        [...(shares.get(id) ?? [])].flatMap(([topic, list]) => {
          ok(own.includes(topic));
          return list.map((partition) => `${topic} ${partition}`);
        }),
      );
      const wanted = topics
        .filter((topic) => given.some((member) => member.topics.includes(topic)))
        .flatMap((topic) => (partitions.get(topic) ?? []).map((partition) => `${topic} ${partition}`));
      deepEqual(seen.sort(), wanted.sort());
      deepEqual(shareOut([...given].reverse(), partitions), shares, 'in whatever order they are named');
      if (given.every((member) => member.topics.length === topics.length)) {
        const sizes = [...shares.values()].map((share) => [...share.values()].flat().length);
        ok(sizes.length === 0 || Math.max(...sizes) - Math.min(...sizes) <= 1, String(sizes));
      }
    }),
  );
});
