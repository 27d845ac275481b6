import type { JsonObject, JsonValue } from '@iotedge-redis/common';
import { POLICIES } from './settings.ts';
import { RUN_ID } from './run.ts';

/** What a caller asks for: a new run with its input, or to go on with an earlier one. */
export type RunRequest =
  { readonly input: JsonObject } | { readonly runId: string } | { readonly problem: string };

type Rule = (value: JsonValue) => string | undefined;

const isText: Rule = (value) =>
  typeof value === 'string' && value !== '' && value.length <= 1024 ? undefined : 'a text';
const isFlag: Rule = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
const isPolicy: Rule = (value) =>
  POLICIES.some((policy) => policy === value) ? undefined : `one of ${POLICIES.join(', ')}`;

/** `Export`: `{"copy": true}` copies the snapshot afterwards. */
export function parseExportRequest(payload: JsonValue): RunRequest {
  return parse(payload, { copy: isFlag });
}

/** `Copy`: `{"snapshot": "name"}`; the newest one without. */
export function parseCopyRequest(payload: JsonValue): RunRequest {
  return parse(payload, { snapshot: isText });
}

/** `Import`: a snapshot of this module by name, or any RDB file by its blob's name; the newest snapshot without. */
export function parseImportRequest(payload: JsonValue): RunRequest {
  const request = parse(payload, {
    snapshot: isText,
    blob: isText,
    policy: isPolicy,
    staged: isFlag,
  });
  if ('input' in request && 'snapshot' in request.input && 'blob' in request.input)
    return { problem: 'snapshot and blob exclude each other' };
  return request;
}

function parse(payload: JsonValue, rules: Readonly<Record<string, Rule>>): RunRequest {
  const given = payload === null || payload === '' ? {} : payload;
  const names = [...Object.keys(rules), 'runId'].join(', ');
  if (typeof given !== 'object' || Array.isArray(given))
    return { problem: `expected no payload, or an object with ${names}` };
  const { runId, ...input } = given;
  if (runId !== undefined) {
    if (typeof runId !== 'string' || !RUN_ID.test(runId))
      return { problem: 'runId: expected the id of a run' };
    return Object.keys(input).length === 0
      ? { runId }
      : { problem: 'runId goes on with a run as it was begun, so nothing else can be given with it' };
  }
  for (const [name, value] of Object.entries(input)) {
    const rule = rules[name];
    if (rule === undefined) return { problem: `unknown name in the payload; expected ${names}` };
    const expected = rule(value);
    if (expected !== undefined) return { problem: `${name}: expected ${expected}` };
  }
  return { input };
}

/** The `runId` of `Operation` and `CancelOperation`; undefined without one. */
export function parseRunId(
  payload: JsonValue,
): { readonly runId: string | undefined } | { readonly problem: string } {
  const given = payload === null || payload === '' ? {} : payload;
  if (typeof given === 'string') return RUN_ID.test(given) ? { runId: given } : { problem: EXPECTED_ID };
  if (typeof given !== 'object' || Array.isArray(given)) return { problem: EXPECTED_ID };
  const { runId, ...unknown } = given;
  if (Object.keys(unknown).length > 0) return { problem: EXPECTED_ID };
  if (runId === undefined) return { runId };
  return typeof runId === 'string' && RUN_ID.test(runId) ? { runId } : { problem: EXPECTED_ID };
}

const EXPECTED_ID = 'expected {"runId": "…"} with the id that Export, Copy or Import answered';
