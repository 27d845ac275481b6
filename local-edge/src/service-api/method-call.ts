import type { JsonObject, JsonValue } from '../hub/hub-api.ts';

/** IoT Hub's limits of a direct method. */
export const MAX_PAYLOAD_BYTES = 128 * 1024;
const MAX_NAME_LENGTH = 100;

/** The body of a methods request, checked. */
export interface MethodRequestBody {
  readonly methodName: string;
  readonly payload: JsonValue;
  readonly responseTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

export type MethodRequestCheck =
  { readonly ok: true; readonly call: MethodRequestBody } | { readonly ok: false; readonly problem: string };

export function payloadBytes(payload: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(payload));
}

/** Numbers, and numbers as strings: az sends its default as `"30"`. */
function seconds(value: JsonValue | undefined, fallback: number): number | undefined {
  if (value === undefined || value === null) return fallback;
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : undefined;
}

function within(value: number | undefined, low: number, high: number): value is number {
  return value !== undefined && Number.isInteger(value) && value >= low && value <= high;
}

export function checkMethodRequest(body: JsonObject): MethodRequestCheck {
  const name = body['methodName'];
  if (typeof name !== 'string' || name.trim() === '')
    return { ok: false, problem: 'methodName must be a non-blank string' };
  if (name.length > MAX_NAME_LENGTH) {
    return { ok: false, problem: `methodName is longer than ${MAX_NAME_LENGTH} characters` };
  }
  const response = seconds(body['responseTimeoutInSeconds'], 30);
  if (!within(response, 5, 300)) {
    return { ok: false, problem: 'responseTimeoutInSeconds must be a whole number from 5 to 300' };
  }
  const connect = seconds(body['connectTimeoutInSeconds'], 0);
  if (!within(connect, 0, 300)) {
    return { ok: false, problem: 'connectTimeoutInSeconds must be a whole number from 0 to 300' };
  }
  const payload = body['payload'] ?? null;
  const size = payloadBytes(payload);
  if (size > MAX_PAYLOAD_BYTES) {
    return {
      ok: false,
      problem: `payload has ${size} bytes, more than the ${MAX_PAYLOAD_BYTES} that a direct method takes`,
    };
  }
  return {
    ok: true,
    call: { methodName: name, payload, responseTimeoutMs: response * 1000, connectTimeoutMs: connect * 1000 },
  };
}
