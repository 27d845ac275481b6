import { findProgram } from '../../local-edge/src/services/find-server.ts';
import { redisOfDebian } from './debian-suite.ts';
import type { ServerProgram } from './debian-suite.ts';

/** Suites of Debian that have newer servers than its releases; the second one has the libraries that the first needs. */
const SUITES = ['experimental', 'sid'];

/**
 * The newest Redis that can be had here: the program that TEST_NEWEST_REDIS names, else the one of Debian's experimental suite,
 * which runs with its own C library, else what is found as for any test. Tests ask the server what it can and hold on every one.
 */
export async function findNewestRedis(): Promise<ServerProgram> {
  const named = process.env['TEST_NEWEST_REDIS'];
  if (named !== undefined && named !== '') return { command: named, args: [], env: {} };
  try {
    return await redisOfDebian(SUITES, 'redis');
  } catch (error) {
    console.error(`no newer Redis: ${error instanceof Error ? error.message : String(error)}`);
    return findProgram('redis');
  }
}
