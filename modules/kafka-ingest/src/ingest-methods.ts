import type { JsonObject, JsonValue, MethodHandler, MethodReply } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { IngestView } from './ingest-view.ts';

const PAGE = 200;
const REPLAY = 100;
const MAX_REPLAY = 1000;

function answer(status: number, message: string, extra: JsonObject = {}): MethodReply {
  return { status, payload: { Message: message, Status: status, ...extra } };
}

function objectOf(payload: JsonValue): JsonObject {
  return payload !== null && typeof payload === 'object' && !Array.isArray(payload) ? payload : {};
}

function count(value: JsonValue | undefined, fallback: number, most: number): number {
  return typeof value === 'number' && value >= 1 ? Math.min(most, Math.floor(value)) : fallback;
}

/** The direct methods of the module, besides `Health`. */
export function ingestMethods(ingest: IngestView): Readonly<Record<string, MethodHandler>> {
  return {
    async IngestStatus({ payload }) {
      const { topic, continuation, limit } = objectOf(payload);
      const wanted = ingest.lanes.filter((lane) => typeof topic !== 'string' || lane.topic === topic);
      const start = typeof continuation === 'string' && /^\d+$/.test(continuation) ? Number(continuation) : 0;
      const page = wanted.slice(start, start + count(limit, PAGE, PAGE));
      const next = start + page.length;
      return answer(200, `${wanted.length} partitions`, {
        ...ingest.summary(),
        deadLetters: await ingest.deadLetters(),
        partitions: ingest.statusOf(page),
        ...(next < wanted.length ? { continuation: String(next) } : {}),
      });
    },
    Pause() {
      ingest.pause();
      return Promise.resolve(answer(200, 'Paused: nothing is applied until Resume or a restart'));
    },
    Resume() {
      ingest.resume();
      const left = [...ingest.pauses.values()];
      return Promise.resolve(
        left.length === 0 ? answer(200, 'Resumed') : answer(409, `Still paused: ${left.join('; ')}`),
      );
    },
    async ReplayDeadLetters({ payload }) {
      const { limit, topic, onlyIfAbsent } = objectOf(payload);
      try {
        const result = await ingest.replay({
          limit: count(limit, REPLAY, MAX_REPLAY),
          topic: typeof topic === 'string' ? topic : undefined,
          onlyIfAbsent: onlyIfAbsent === true,
        });
        return answer(200, `${result.replayed} dead letters took effect`, { ...result });
      } catch (error) {
        if (!(error instanceof SuiteError) || !error.retryable) throw error;
        return answer(503, `Not now: ${error.message}`);
      }
    },
  };
}
