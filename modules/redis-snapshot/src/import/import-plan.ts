import { SuiteError } from '@iotedge-redis/common';
import type { Family } from '../rdb/layouts.ts';
import { RdbCheck } from '../rdb/rdb-check.ts';
import type { RdbFacts } from '../rdb/rdb-check.ts';
import type { RdbParser } from '../rdb/rdb-parser.ts';
import { SUITE, isModuleEntry } from './own-keys.ts';
import type { RdbInput } from './rdb-input.ts';

/** Where the keys of the suite lie, so that they can be restored behind all others. */
export interface SuiteKeys {
  readonly keys: number;
  readonly from: number;
  readonly until: number;
  /** Database that `from` belongs to. */
  readonly db: number;
}

/** What the first reading of a file found; plain data, so that a restart need not read it again. */
export interface ImportPlan {
  /** Of the input it is about. */
  readonly inputVersion: string;
  readonly family: Family;
  readonly version: number;
  readonly serverVersion: string | null;
  readonly usedMemory: number | null;
  readonly bytes: number;
  readonly isVerified: boolean;
  readonly keys: number;
  readonly databases: readonly (readonly [db: number, keys: number])[];
  readonly types: readonly number[];
  readonly functions: number;
  readonly moduleTypes: readonly string[];
  readonly moduleAux: readonly string[];
  readonly largestBytes: number;
  readonly largestOffset: number;
  readonly suite: SuiteKeys | null;
}

/** Reads the file to its end: checksum, types, sizes, counts. Nothing is touched in Redis. */
export async function inspect(
  input: RdbInput,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<ImportPlan> {
  let suite: SuiteKeys | null = null;
  const visit = (parser: RdbParser): void => {
    if (isModuleEntry(parser)) return;
    const from = suite ?? { keys: 0, from: parser.itemOffset, db: parser.db };
    suite = { ...from, keys: from.keys + 1, until: parser.offset };
  };
  const check = new RdbCheck({ watched: { prefix: SUITE, visit } });
  let bytes = 0;
  for await (const piece of input.read(0)) {
    if (signal.aborted) throw new SuiteError('STOPPED', 'checking the RDB: stopped');
    check.push(piece);
    bytes += piece.length;
    onProgress(bytes);
  }
  return planOf(input, check.finish(), suite);
}

function planOf(input: RdbInput, facts: RdbFacts, suite: SuiteKeys | null): ImportPlan {
  return {
    inputVersion: input.version,
    family: facts.family,
    version: facts.version,
    serverVersion: facts.serverVersion ?? null,
    usedMemory: facts.usedMemory ?? null,
    bytes: facts.bytes,
    isVerified: facts.isVerified,
    keys: facts.keys,
    databases: [...facts.databases].map(([db, { keys }]) => [db, keys] as const),
    types: [...facts.types].sort((a, b) => a - b),
    functions: facts.functions,
    moduleTypes: [...facts.moduleTypes],
    moduleAux: [...facts.moduleAux],
    largestBytes: facts.largest.bytes,
    largestOffset: facts.largest.offset,
    suite,
  };
}

/** One file of a snapshot, and what it holds. */
export interface ImportPart {
  readonly input: RdbInput;
  readonly plan: ImportPlan;
}

/** What all files hold together. */
export interface Totals {
  readonly bytes: number;
  readonly keys: number;
  readonly functions: number;
  /** Memory that they take, as their writers said. */
  readonly memory: number;
  readonly isVerified: boolean;
  readonly databases: ReadonlyMap<number, number>;
}

export function totalsOf(parts: readonly ImportPart[]): Totals {
  const databases = new Map<number, number>();
  for (const { plan } of parts)
    for (const [db, keys] of plan.databases) databases.set(db, (databases.get(db) ?? 0) + keys);
  const sum = (of: (plan: ImportPlan) => number): number =>
    parts.reduce((total, { plan }) => total + of(plan), 0);
  return {
    bytes: sum(({ bytes }) => bytes),
    keys: sum(({ keys }) => keys),
    functions: sum(({ functions }) => functions),
    memory: sum(({ usedMemory, bytes }) => usedMemory ?? bytes),
    isVerified: parts.every(({ plan }) => plan.isVerified),
    databases,
  };
}
