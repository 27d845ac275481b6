import { SuiteError } from '@iotedge-redis/common';
import { LAST_SHARED_VERSION, MODULE_TYPE, isTypeKnownTo, typeName } from '../rdb/layouts.ts';
import { FUNCTIONS_VERSION } from './functions.ts';
import type { ImportPlan, Totals } from './import-plan.ts';
import type { Target } from './target.ts';

/** Throws when it is known beforehand that the target cannot take the file, so that nothing is half imported. */
export function refuseBeforehand(plan: ImportPlan, target: Target): void {
  const refuse = (problem: string): never => {
    throw new SuiteError('DATA_INVALID', `checking the RDB against the target: ${problem}`);
  };
  if (isNewer(plan, target)) {
    refuse(
      `it has RDB version ${plan.version} (${plan.family} ${plan.serverVersion ?? 'of unknown version'}), and ${target.name} takes up to RDB version ${target.version}; import into a server that is at least as new`,
    );
  }
  const unknown = plan.types.filter((type) => !isTaken(plan, target, type));
  if (unknown.length > 0) {
    const names = [...new Set(unknown.map(typeName))].join(', ');
    refuse(
      `it holds values of the kind ${names} in a form of ${plan.family} (type ${unknown.join(', ')}) that ${target.name} does not know`,
    );
  }
  if (plan.types.includes(MODULE_TYPE) && !target.hasModules) {
    refuse(
      `it holds values of the modules' types ${plan.moduleTypes.join(', ')}, and ${target.name} has no modules loaded`,
    );
  }
  if (plan.functions > 0 && target.version < FUNCTIONS_VERSION)
    refuse(`it holds ${plan.functions} function libraries, which ${target.name} does not know`);
  const payload = plan.largestBytes + 11;
  if (payload > target.maxBulkBytes) {
    throw new SuiteError(
      'TOO_LARGE',
      `checking the RDB against the target: the entry at byte ${plan.largestOffset} has ${payload} bytes, and Redis takes up to ${target.maxBulkBytes} (proto-max-bulk-len)`,
    );
  }
  const highest = Math.max(0, ...plan.databases.map(([db]) => db));
  if (highest >= target.databases) {
    const has = target.isCluster ? 'a cluster has database 0 only' : `Redis has ${target.databases}`;
    refuse(`it holds keys of database ${highest}, and ${has}`);
  }
}

/** The same for room. `isBeside` says that what the target holds stays there meanwhile, so that both have to fit. */
export function refuseForMemory(totals: Totals, target: Target, isBeside: boolean): void {
  // In a cluster each node has its own room and its own part of the keys: there the nodes themselves decide.
  if (target.maxMemory === 0 || target.isCluster) return;
  const needed = totals.memory;
  const free = target.maxMemory - (isBeside ? target.usedMemory : 0);
  if (needed <= free) return;
  throw new SuiteError(
    'REDIS_OOM',
    `checking the RDB against the target: it takes about ${megabytes(needed)} MB of memory, and Redis has room for ${megabytes(Math.max(0, free))} MB (maxmemory)`,
  );
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function isNewer(plan: ImportPlan, target: Target): boolean {
  if (plan.version <= LAST_SHARED_VERSION || target.family === 'either' || target.family === plan.family)
    return plan.version > target.version;
  // Of the other family: what it adds to the shared format shows in the types.
  return false;
}

function isTaken(plan: ImportPlan, target: Target, type: number): boolean {
  if (target.family === 'either' || target.family === plan.family)
    return isTypeKnownTo(plan.family, target.version, type);
  return isTypeKnownTo(plan.family, LAST_SHARED_VERSION, type);
}
