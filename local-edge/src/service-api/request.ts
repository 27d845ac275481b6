import type { IncomingMessage } from 'node:http';

import type { JsonObject, JsonValue } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import { ServiceError } from './replies.ts';

/** Twins (32 KB each section, sent back whole by some clients) and payloads (128 KB) fit several times. */
const MAX_BODY_BYTES = 1024 * 1024;

/** A request as the routes see it: path segments are decoded, the body is read. */
export interface ServiceRequest {
  readonly method: string;
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

/** Reads the whole body; refuses what is too large without keeping it. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) {
    throw new ServiceError(
      413,
      'RequestEntityTooLarge',
      `The request body is larger than ${MAX_BODY_BYTES} bytes`,
    );
  }
  return Buffer.concat(chunks);
}

export function badArgument(text: string): ServiceError {
  return new ServiceError(400, 'ArgumentInvalid', text);
}

/** The body as JSON, whatever the content type says. */
export function parseBody(request: ServiceRequest): JsonValue {
  const text = request.body.toString('utf8');
  if (text.trim() === '') throw badArgument('The request needs a JSON body');
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw badArgument(
      `The request body is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

export function parseObject(request: ServiceRequest): JsonObject {
  const body = parseBody(request);
  if (!isObject(body)) throw badArgument('The request body must be a JSON object');
  return body;
}

/** The value of a path parameter that the route's pattern declares. */
export function parameter(request: ServiceRequest, name: string): string {
  return request.parameters[name] ?? '';
}

/** `*`, `"*"`, quoted and bare etags are alike; no header means no condition. */
export function checkIfMatch(request: ServiceRequest, etag: string): void {
  const given = request.header('if-match');
  if (given === undefined) return;
  const wanted = given.trim().replace(/^(?:W\/)?"(.*)"$/s, '$1');
  if (wanted === '*' || wanted === '' || wanted === etag) return;
  throw new ServiceError(
    412,
    'PreconditionFailed',
    `Precondition failed: Invalid ETag, existing ETag is ${etag}`,
  );
}
