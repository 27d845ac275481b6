import type { Admin } from 'kafkajs';
import { SuiteError } from '@iotedge-redis/common';
import { patternOf } from '../settings/settings-kafka.ts';

export function hasPatterns(topics: readonly string[]): boolean {
  return topics.some((topic) => patternOf(topic) !== undefined);
}

/** The topics that exist of those that are wanted; one that is named and does not exist is an error. */
export async function listTopics(admin: Admin, topics: readonly string[]): Promise<readonly string[]> {
  const known = await admin.listTopics();
  const missing = topics.filter((topic) => patternOf(topic) === undefined && !known.includes(topic));
  if (missing.length > 0)
    throw new SuiteError(
      'KAFKA_REFUSED',
      `looking for topics: ${missing.join(', ')} does not exist (or may not be read); create it, or correct KAFKA_TOPIC`,
      { retryable: true },
    );
  const wanted = topics.flatMap((topic) => {
    const pattern = patternOf(topic);
    if (pattern === undefined || pattern === null) return [topic];
    return known.filter((each) => pattern.test(each) && !each.startsWith('__'));
  });
  return [...new Set(wanted)].sort();
}
