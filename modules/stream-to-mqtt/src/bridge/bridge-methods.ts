import type { JsonObject, JsonValue, MethodHandler, MethodReply } from '@iotedge-redis/common';
import type { BridgeView } from './bridge-view.ts';

const PAGE = 100;
const MAX_REPLAY = 1000;

function answer(status: number, message: string, extra: JsonObject = {}): MethodReply {
  return { status, payload: { Message: message, Status: status, ...extra } };
}

function objectOf(payload: JsonValue): JsonObject {
  return payload !== null && typeof payload === 'object' && !Array.isArray(payload) ? payload : {};
}

/** The direct methods of the bridge, besides `Health`. */
export function bridgeMethods(bridge: BridgeView): Readonly<Record<string, MethodHandler>> {
  return {
    async BridgeStatus({ payload }) {
      const { stream, continuation, limit } = objectOf(payload);
      const wanted =
        typeof stream === 'string'
          ? bridge.streams.filter(({ name, shown }) => name === stream || shown === stream)
          : bridge.streams;
      if (typeof stream === 'string' && wanted.length === 0)
        return answer(404, `The stream ${stream} is not forwarded`);
      const start = typeof continuation === 'string' && /^\d+$/.test(continuation) ? Number(continuation) : 0;
      const size = typeof limit === 'number' && limit >= 1 ? Math.min(PAGE, Math.floor(limit)) : PAGE;
      const page = wanted.slice(start, start + size);
      const streams = await bridge.statusOf(page);
      const next = start + page.length;
      return answer(200, `${wanted.length} streams`, {
        ...bridge.summary(),
        streams,
        ...(next < wanted.length ? { continuation: String(next) } : {}),
      });
    },
    Pause() {
      bridge.pause();
      return Promise.resolve(answer(200, 'Paused: nothing is read or published until Resume or a restart'));
    },
    Resume() {
      bridge.resume();
      const left = [...bridge.pauses.values()];
      return Promise.resolve(
        left.length === 0 ? answer(200, 'Resumed') : answer(409, `Still paused: ${left.join('; ')}`),
      );
    },
    async ReplayDeadLetters({ payload }) {
      const { stream, db, limit } = objectOf(payload);
      if (typeof stream !== 'string' || stream === '')
        return answer(400, 'Expected {"stream": name, "db"?: number, "limit"?: number}');
      const count = typeof limit === 'number' && limit >= 1 ? Math.min(MAX_REPLAY, Math.floor(limit)) : PAGE;
      const result = await bridge.replay(stream, typeof db === 'number' ? db : undefined, count);
      if (typeof result === 'string') return answer(result.startsWith('Not') ? 503 : 404, result);
      return answer(200, `${result.replayed} dead letters delivered`, { ...result });
    },
  };
}
