import { randomBytes } from 'node:crypto';
import type { JsonObject } from '@iotedge-redis/common';

export const KINDS = ['export', 'copy', 'import'] as const;
export type Kind = (typeof KINDS)[number];

/** `waiting` goes on by itself as soon as what it waits for is there; the last three are ends. */
export type RunState = 'running' | 'waiting' | 'done' | 'failed' | 'cancelled';

export type Trigger = 'method' | 'schedule' | 'arrival' | 'export' | 'command';

/** One export, copy or import, from its beginning to its end, over as many starts of the module as it takes. */
export interface Run {
  readonly id: string;
  readonly kind: Kind;
  readonly trigger: Trigger;
  /** What was asked for; never a secret. */
  readonly input: JsonObject;
  /** Redis and container that the run began with: with others it cannot go on. */
  readonly place: string;
  readonly state: RunState;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt?: number;
  /** How often it went on after a start of the module or by `runId`. */
  readonly resumes: number;
  /** For a person: how far it is. */
  readonly progress: JsonObject;
  /** For the run itself: what it goes on with. */
  readonly checkpoint?: JsonObject;
  readonly result?: JsonObject;
  /** Why it waits, failed, or was cancelled. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** `20260131T120000123Z-1f3a5c`: sorts by time, to the millisecond, and is part of a blob's name. */
export function newRunId(now: number): string {
  const stamp = new Date(now).toISOString().replace(/[-:.]/g, '');
  return `${stamp}-${randomBytes(3).toString('hex')}`;
}

export const RUN_ID = /^\d{8}T\d{9}Z-[0-9a-f]{6}$/;

export function isOver(run: Run): boolean {
  return run.state === 'done' || run.state === 'failed' || run.state === 'cancelled';
}

const FORMAT = 1;

export function writeRuns(runs: readonly Run[]): string {
  return JSON.stringify({ format: FORMAT, runs });
}

/** Undefined when it is not what this version writes. */
export function readRuns(text: string): readonly Run[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== FORMAT)
      return undefined;
    return 'runs' in value && Array.isArray(value.runs) && value.runs.every(isRun) ? value.runs : undefined;
  } catch {
    return undefined;
  }
}

function isRun(value: unknown): value is Run {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    typeof value.id === 'string' &&
    'kind' in value &&
    KINDS.some((kind) => kind === value.kind) &&
    'state' in value &&
    typeof value.state === 'string' &&
    'startedAt' in value &&
    typeof value.startedAt === 'number' &&
    'input' in value &&
    typeof value.input === 'object'
  );
}
