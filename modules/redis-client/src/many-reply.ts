import type { JsonObject, MethodReply } from '@iotedge-redis/common';
import { answer, fits } from './replies.ts';

export interface ItemResult extends JsonObject {
  Key: string;
  Status: number;
}

/**
 * The reply to a request with many items. Its status is the largest one of any item, so that 200 still means that all went
 * well. What does not fit is left out from the largest on: values of a read become 413, the list of a write shrinks to the
 * items that failed.
 */
export function manyReply(verb: 'written' | 'read', results: readonly ItemResult[]): MethodReply {
  const full = build(verb, results, results);
  if (fits(full.payload)) return full;
  return verb === 'read' ? shrinkRead(results) : shrinkWrite(results);
}

function build(
  verb: string,
  all: readonly ItemResult[],
  shown: readonly ItemResult[],
  note = '',
): MethodReply {
  const good = all.filter(({ Status }) => Status === 200).length;
  const status = all.reduce((worst, { Status }) => Math.max(worst, Status), 200);
  return answer(status, `${good} of ${all.length} items ${verb}${note}`, { Items: [...shown] });
}

function shrinkRead(results: readonly ItemResult[]): MethodReply {
  const items = [...results];
  const bySize = items
    .map((item, index) => ({ index, bytes: Buffer.byteLength(JSON.stringify(item)) }))
    .sort((a, b) => b.bytes - a.bytes);
  for (const { index } of bySize) {
    const item = items[index];
    if (item?.Status !== 200) continue;
    items[index] = {
      Key: item.Key,
      Status: 413,
      Message: 'does not fit into this reply; ask for fewer keys',
    };
    const reply = build('read', items, items);
    if (fits(reply.payload)) return reply;
  }
  return answer(413, 'GetItems error: the reply would exceed 128 KB; ask for fewer keys');
}

function shrinkWrite(results: readonly ItemResult[]): MethodReply {
  const note = ' (the items that were written are not listed: the reply would exceed 128 KB)';
  const failed = results.filter(({ Status }) => Status !== 200);
  for (let shown = failed.length; shown >= 0; shown = shown === 0 ? -1 : Math.floor(shown / 2)) {
    const reply = build(
      'written',
      results,
      failed.slice(0, shown),
      shown === failed.length ? note : ' (not all are listed)',
    );
    if (fits(reply.payload)) return reply;
  }
  return build('written', results, []);
}
