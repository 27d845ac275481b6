import type { Position } from './positions.ts';

export interface Watermarks {
  /** First offset that the partition still has. */
  readonly low: number;
  /** First offset after its last record. */
  readonly high: number;
}

export interface ClaimPolicy {
  readonly onMissingPosition: 'earliest' | 'committed' | 'latest';
  readonly onOffsetMismatch: 'earliest' | 'latest' | 'stop';
}

export interface ClaimFacts {
  readonly position: Position | undefined;
  readonly marks: Watermarks;
  /** What Kafka keeps for the group; it counts only where asked for. */
  readonly committed: number | undefined;
  /** The topic was read from another cluster before. */
  readonly isOtherCluster: boolean;
  /** The record before the position is another one than that which was applied. */
  readonly isRecreated: boolean;
}

export type ClaimDecision =
  | { readonly kind: 'go-on'; readonly next: number }
  | {
      readonly kind: 'move';
      readonly next: number;
      /** Why; undefined for a first start. */
      readonly reason: string | undefined;
      /** Records that are gone for good; undefined when that cannot be known. */
      readonly lost: number | undefined;
    }
  | { readonly kind: 'stop'; readonly reason: string };

/** Where to go on in a partition: Redis' position if Kafka can have written it, else by policy. */
export function decideClaim(facts: ClaimFacts, policy: ClaimPolicy): ClaimDecision {
  const { position, marks, committed, isOtherCluster, isRecreated } = facts;
  const { low, high } = marks;
  if (position === undefined) {
    if (isOtherCluster) return mismatch('the topic is now read from another Kafka cluster', marks, policy);
    const { onMissingPosition } = policy;
    const kept = committed !== undefined && committed >= low && committed <= high ? committed : low;
    const next = onMissingPosition === 'latest' ? high : onMissingPosition === 'committed' ? kept : low;
    return { kind: 'move', next, reason: undefined, lost: undefined };
  }
  const { next } = position;
  if (isRecreated)
    return mismatch('the record before the position is another one: the topic was made anew', marks, policy);
  if (next > high)
    return mismatch(
      `the position ${next} is behind the end ${high}: the topic was made anew or has lost records`,
      marks,
      policy,
    );
  if (next < low) {
    const reason = `Kafka has removed the records from ${next} to ${low - 1}, which were never applied`;
    const decision = mismatch(reason, marks, policy);
    return decision.kind === 'move' ? { ...decision, lost: decision.next - next } : decision;
  }
  return { kind: 'go-on', next };
}

function mismatch(
  reason: string,
  { low, high }: Watermarks,
  { onOffsetMismatch }: ClaimPolicy,
): ClaimDecision {
  if (onOffsetMismatch === 'stop') return { kind: 'stop', reason };
  return { kind: 'move', next: onOffsetMismatch === 'latest' ? high : low, reason, lost: undefined };
}
