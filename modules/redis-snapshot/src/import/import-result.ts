import type { JsonObject } from '@iotedge-redis/common';
import type { ImportPolicy } from '../settings.ts';
import type { Counts } from './import-checkpoint.ts';
import type { ImportPart, Totals } from './import-plan.ts';

export interface ImportFacts {
  readonly policy: ImportPolicy;
  readonly isStaged: boolean;
  readonly parts: readonly ImportPart[];
  readonly totals: Totals;
  readonly counts: Counts;
  /** Keys that the snapshot does not hold and that are gone now. */
  readonly deleted: number;
  /** Function libraries that were left as they were. */
  readonly keptFunctions: number;
}

/** What the run tells of an import that is done. */
export function describeImport(facts: ImportFacts): JsonObject {
  const { policy, isStaged, parts, counts, deleted, keptFunctions } = facts;
  const { bytes, keys, isVerified, functions, databases } = facts.totals;
  const [first] = parts;
  const moduleData = [...new Set(parts.flatMap(({ plan }) => plan.moduleAux))];
  return {
    policy,
    isStaged,
    isVerified,
    rdbVersion: first?.plan.version ?? 0,
    server: `${first?.plan.family ?? ''} ${first?.plan.serverVersion ?? ''}`.trim(),
    bytes,
    keys,
    databases: Object.fromEntries([...databases].map(([db, count]) => [String(db), count])),
    ...counts,
    deleted,
    functions,
    ...(keptFunctions > 0 ? { functionsKept: keptFunctions } : {}),
    ...(moduleData.length > 0 ? { moduleDataLeftOut: moduleData } : {}),
  };
}
