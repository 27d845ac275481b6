import { globMatcher } from '@iotedge-redis/common';

/** Streams that the suite itself writes and that must not be found and forwarded as if they were data. */
const OWN = [globMatcher('dlq:*'), globMatcher('iotedge-redis:*')];

/** Says of a name found by discovery whether it is to be forwarded. */
export function streamChooser(
  include: readonly string[],
  exclude: readonly string[],
): (name: string) => boolean {
  const wanted = include.map(globMatcher);
  const unwanted = exclude.map(globMatcher);
  return (name) =>
    (wanted.length === 0 || wanted.some((matches) => matches(name))) &&
    !unwanted.some((matches) => matches(name)) &&
    !OWN.some((matches) => matches(name));
}
