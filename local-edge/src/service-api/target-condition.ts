import type { JsonObject } from '../hub/hub-api.ts';
import { meets } from './query-evaluation.ts';
import type { Condition } from './query-language.ts';
import { QueryError } from './query-language.ts';
import { parseCondition } from './query-parser.ts';
import { badArgument } from './request.ts';

/** `all` for `*`, `none` for an empty condition. */
export type Target = 'all' | 'none' | Condition;

/** Refuses what the local edge could not evaluate, so that no deployment waits for ever without a word. */
export function parseTarget(text: string): Target {
  const trimmed = text.trim();
  if (trimmed === '') return 'none';
  if (trimmed === '*') return 'all';
  if (/^from\s/i.test(trimmed)) {
    throw badArgument(
      'A target condition on modules (FROM devices.modules) is not emulated by the local edge',
    );
  }
  try {
    return parseCondition(trimmed);
  } catch (error) {
    if (error instanceof QueryError)
      throw badArgument(`The target condition is not understood: ${error.message}`);
    throw error;
  }
}

export function isTargeted(target: Target, deviceTwin: JsonObject): boolean {
  if (target === 'all') return true;
  return target !== 'none' && meets(deviceTwin, target);
}
