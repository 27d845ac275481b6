import { Buffer } from 'node:buffer';
import { errorText, SuiteError } from '../errors.ts';
import type { Log } from '../log.ts';
import { MAX_METHOD_BYTES, methodFailure } from '../runner/method-table.ts';
import { unknownName } from '../suggest.ts';
import type { JsonValue, MethodHandler, MethodReply } from './edge.ts';

/** Handlers by name, and the promise that every request gets exactly one answer. */
export interface MethodAnswers {
  readonly names: ReadonlySet<string>;
  register(name: string, handler: MethodHandler): void;
  /** Never rejects. */
  answer(name: string, requestId: string, body: Buffer): Promise<MethodReply>;
  /** From now on every request is answered with 503. */
  close(): void;
}

export function createMethodAnswers(log: Log): MethodAnswers {
  const handlers = new Map<string, MethodHandler>();
  const names = new Set<string>();
  let closed = false;

  async function call(name: string, requestId: string, body: Buffer): Promise<MethodReply> {
    const handler = handlers.get(name);
    // The SDK itself leaves an unknown name without an answer, so that the caller waits for its time-out; SDKs of other
    // languages answer 501.
    if (handler === undefined) return methodFailure(501, `method ${name}: ${unknownName(name, [...names])}`);
    if (closed) return methodFailure(503, 'The module is stopping');
    let payload: JsonValue;
    try {
      payload = body.length === 0 ? null : (JSON.parse(body.toString('utf8')) as JsonValue);
    } catch {
      return methodFailure(400, 'The payload is not JSON');
    }
    try {
      return checked(await handler({ name, payload, requestId }));
    } catch (error) {
      log.warn('method failed', { method: name, requestId, error });
      return methodFailure(500, `${name} error: ${errorText(error)}`);
    }
  }

  return {
    names,
    register(name, handler) {
      if (handlers.has(name)) {
        throw new SuiteError('INTERNAL', `registering method ${name}: there is a handler already`);
      }
      handlers.set(name, handler);
      names.add(name);
    },
    answer: call,
    close() {
      closed = true;
    },
  };
}

/** What the SDK or edgeHub would choke on becomes a proper answer. */
function checked(reply: MethodReply): MethodReply {
  if (!Number.isSafeInteger(reply.status) || reply.status < 1) {
    return methodFailure(500, 'The method answered without a status');
  }
  const text = JSON.stringify(reply.payload) as string | undefined;
  if (text === undefined) return { status: reply.status, payload: null };
  const bytes = Buffer.byteLength(text);
  return bytes <= MAX_METHOD_BYTES
    ? reply
    : methodFailure(413, `The answer has ${bytes} bytes, ${MAX_METHOD_BYTES} are allowed`);
}
