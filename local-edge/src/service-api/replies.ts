import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { EdgeError } from '../errors.ts';
import type { JsonValue } from '../hub/hub-api.ts';

/** What a route answers. Without a body the reply has no content type, which service clients take for "nothing". */
export interface Reply {
  readonly status: number;
  readonly body?: JsonValue;
  readonly headers?: Readonly<Record<string, string>>;
}

/** JSON in ASCII: the Node service SDK joins body chunks as strings, so a character cut in two would be lost. */
export function asciiJson(value: JsonValue): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A refusal of the registry, twin and configuration routes (body form A of IoT Hub). */
export class ServiceError extends EdgeError {
  readonly status: number;
  readonly errorName: string;

  constructor(status: number, errorName: string, message: string) {
    super('REFUSED', message);
    this.name = 'ServiceError';
    this.status = status;
    this.errorName = errorName;
  }
}

/** What IoT Hub offers and the local edge does not: said, never pretended. */
export function notEmulated(what: string, status = 404): ServiceError {
  return new ServiceError(status, 'NotEmulated', `${what} is not emulated by the local edge`);
}

function trackingId(): string {
  return randomUUID().replaceAll('-', '').toUpperCase();
}

/** `MM/dd/yyyy HH:mm:ss` in UTC. */
function timeStamp(now: Date): string {
  const [date = '', time = ''] = now.toISOString().slice(0, 19).split('T');
  const [year = '', month = '', day = ''] = date.split('-');
  return `${month}/${day}/${year} ${time}`;
}

/** Form A. Clients split `Message` at semicolons, so the text itself has none. */
export function errorReply(error: ServiceError, now = new Date()): Reply {
  return {
    status: error.status,
    headers: { 'iothub-errorcode': error.errorName },
    body: {
      Message: `ErrorCode:${error.errorName};${error.message.replaceAll(';', ',')}`,
      ExceptionMessage: `Tracking ID:${trackingId()}-G:1-TimeStamp:${timeStamp(now)}`,
    },
  };
}

/** Form B, the one of direct methods: a JSON text inside `Message`. */
export function methodErrorReply(
  status: number,
  errorName: string,
  errorCode: number,
  message: string,
  info: Readonly<Record<string, string>> = {},
  now = new Date(),
): Reply {
  const inner = {
    errorCode,
    trackingId: `${trackingId()}-G:1-TimeStamp:${timeStamp(now)}`,
    message,
    info,
    timestampUtc: now.toISOString(),
  };
  return {
    status,
    headers: { 'iothub-errorcode': errorName },
    body: { Message: JSON.stringify(inner), ExceptionMessage: '' },
  };
}

export function send(response: ServerResponse, reply: Reply): void {
  if (reply.body === undefined) {
    response.writeHead(reply.status, { ...reply.headers, 'content-length': '0' }).end();
    return;
  }
  const text = asciiJson(reply.body);
  response
    .writeHead(reply.status, {
      ...reply.headers,
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(text)),
    })
    .end(text);
}
