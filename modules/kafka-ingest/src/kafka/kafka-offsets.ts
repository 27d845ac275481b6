import type { Admin } from 'kafkajs';
import type { Watermarks } from '../apply/claim.ts';
import { kafkaError } from './kafka-errors.ts';

/** First and last offsets of the partitions of a topic. */
export async function watermarksOf(admin: Admin, topic: string): Promise<ReadonlyMap<number, Watermarks>> {
  try {
    const found = await admin.fetchTopicOffsets(topic);
    return new Map(
      found.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]),
    );
  } catch (error) {
    throw kafkaError(error, `looking up offsets of ${topic}`);
  }
}

/** What Kafka keeps for the group, of the partitions that it keeps anything of. */
export async function committedOf(
  admin: Admin,
  groupId: string,
  topic: string,
): Promise<ReadonlyMap<number, number>> {
  try {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const known = (found?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0);
    return new Map(known.map(({ partition, offset }) => [partition, Number(offset)]));
  } catch (error) {
    throw kafkaError(error, `looking up committed offsets of ${topic}`);
  }
}
