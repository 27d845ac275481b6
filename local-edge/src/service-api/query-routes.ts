import type { Hub, JsonObject } from '../hub/hub-api.ts';
import type { DeviceTwin } from './device-twin.ts';
import { evaluate } from './query-evaluation.ts';
import type { Query } from './query-language.ts';
import { QueryError } from './query-language.ts';
import { parseQuery } from './query-parser.ts';
import type { Reply } from './replies.ts';
import type { ServiceRequest } from './request.ts';
import { badArgument, parseObject } from './request.ts';
import type { Route } from './router.ts';
import { twinView } from './views.ts';

function rowsOf(hub: Hub, device: DeviceTwin, source: Query['source']): JsonObject[] {
  if (source === 'devices') return [twinView(hub, device.get())];
  return hub.identities.list().flatMap(({ moduleId }) => {
    const twin = hub.twins.get(moduleId);
    return twin === undefined ? [] : [twinView(hub, twin, moduleId)];
  });
}

function pageSize(request: ServiceRequest): number | undefined {
  const given = request.header('x-ms-max-item-count');
  // -1 asks for the default, which is everything here.
  if (given === undefined || given === '-1') return undefined;
  const size = Number(given);
  if (!Number.isInteger(size) || size < 1)
    throw badArgument('x-ms-max-item-count must be a whole number from 1');
  return size;
}

function offsetOf(request: ServiceRequest): number {
  const given = request.header('x-ms-continuation');
  if (given === undefined || given === '') return 0;
  const offset = Number(Buffer.from(given, 'base64').toString('latin1'));
  if (!Number.isInteger(offset) || offset < 0)
    throw badArgument('x-ms-continuation is not one that this hub gave');
  return offset;
}

function parse(text: string): Query {
  try {
    return parseQuery(text);
  } catch (error) {
    if (error instanceof QueryError)
      throw badArgument(`BadRequest: the query is not understood: ${error.message}`);
    throw error;
  }
}

/** Queries. Pages only when asked to, since the Node SDK's `next()` without an argument would read page 1 for ever. */
export function queryRoutes(hub: Hub, device: DeviceTwin): Route[] {
  const handler = (request: ServiceRequest): Reply => {
    const text = parseObject(request)['query'];
    if (typeof text !== 'string') throw badArgument('The body needs a query');
    const query = parse(text);
    const rows = evaluate(query, rowsOf(hub, device, query.source));
    const offset = offsetOf(request);
    const size = pageSize(request);
    const end = size === undefined ? rows.length : offset + size;
    return {
      status: 200,
      headers: {
        'x-ms-item-type': query.select === 'all' ? 'Twin' : 'Raw',
        ...(end < rows.length ? { 'x-ms-continuation': Buffer.from(String(end)).toString('base64') } : {}),
      },
      body: rows.slice(offset, end),
    };
  };
  return [{ method: 'POST', pattern: '/devices/query', handler }];
}
