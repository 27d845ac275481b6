import type { JsonObject, MethodHandler, MethodReply } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import { parseReplayRequest, parseStatusRequest } from './ingest-requests.ts';
import type { IngestView } from './ingest-view.ts';

function answer(status: number, message: string, extra: JsonObject = {}): MethodReply {
  return { status, payload: { Message: message, Status: status, ...extra } };
}

/** The direct methods of the module, besides `Health`. */
export function ingestMethods(ingest: IngestView): Readonly<Record<string, MethodHandler>> {
  return {
    async IngestStatus({ payload }) {
      const request = parseStatusRequest(payload);
      if ('problem' in request) return answer(400, request.problem);
      const { topic, from, limit } = request;
      const wanted = ingest.lanes.filter((lane) => topic === undefined || lane.topic === topic);
      const page = wanted.slice(from, from + limit);
      const next = from + page.length;
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
      const request = parseReplayRequest(payload);
      if ('problem' in request) return answer(400, request.problem);
      try {
        const result = await ingest.replay(request);
        return answer(200, `${result.replayed} dead letters took effect`, { ...result });
      } catch (error) {
        if (!(error instanceof SuiteError) || !error.retryable) throw error;
        return answer(503, `Not now: ${error.message}`);
      }
    },
  };
}
