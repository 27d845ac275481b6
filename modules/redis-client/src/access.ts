import { globMatcher, SuiteError } from '@iotedge-redis/common';

/** Keys that the suite keeps for itself. */
export const OWN_PREFIX = 'iotedge-redis:';

export interface AccessRules {
  /** Patterns as in Redis' KEYS; none means every key. */
  readonly allowedKeys: readonly string[];
  readonly readOnly: boolean;
}

/** Throws REDIS_DENIED when the rules keep the cloud away from this key. */
export function checkAccess(rules: AccessRules, key: string, isWrite: boolean): void {
  if (key.startsWith(OWN_PREFIX))
    throw denied(`keys that begin with "${OWN_PREFIX}" belong to the modules themselves`);
  if (isWrite && rules.readOnly) throw denied('this module is set to readOnly');
  const { allowedKeys } = rules;
  if (allowedKeys.length > 0 && !allowedKeys.some((pattern) => globMatcher(pattern)(key))) {
    throw denied('the key matches none of the patterns in allowedKeys');
  }
}

function denied(problem: string): SuiteError {
  return new SuiteError('REDIS_DENIED', problem);
}
