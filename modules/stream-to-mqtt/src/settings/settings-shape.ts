import { choice, custom, FieldProblem, flag, integer, list, text } from '@iotedge-redis/common';
import type { JsonValue } from '@iotedge-redis/common';
import type { FilterRule } from '../shape/filter.ts';
import { EXTRAS } from '../shape/payload.ts';
import type { Extra } from '../shape/payload.ts';
import { fromJsonText, isTexts, textsOf } from './settings-texts.ts';

/** An empty list would be a rule that lets nothing through, or that never applies: acknowledged unpublished, or not filtered. */
function isSomeTexts(value: JsonValue): value is string[] {
  return isTexts(value) && value.length > 0;
}

const RULE =
  'expected an array of rules {"field", "values" | "not" | "exists", "streams"} whose lists are not empty';

function readRule(value: JsonValue): FilterRule {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new FieldProblem(RULE);
  const { field, values, not, exists, streams, ...rest } = value;
  if (typeof field !== 'string' || field === '' || Object.keys(rest).length > 0) throw new FieldProblem(RULE);
  if (values === undefined && not === undefined && exists === undefined) throw new FieldProblem(RULE);
  if (values !== undefined && !isSomeTexts(values)) throw new FieldProblem(RULE);
  if (not !== undefined && !isSomeTexts(not)) throw new FieldProblem(RULE);
  if (streams !== undefined && !isSomeTexts(streams)) throw new FieldProblem(RULE);
  if (exists !== undefined && typeof exists !== 'boolean') throw new FieldProblem(RULE);
  return {
    field,
    ...(values === undefined ? {} : { values }),
    ...(not === undefined ? {} : { not }),
    ...(exists === undefined ? {} : { exists }),
    ...(streams === undefined ? {} : { streams }),
  };
}

function readRules(value: JsonValue): readonly FilterRule[] {
  if (!Array.isArray(value)) throw new FieldProblem(RULE);
  return value.map(readRule);
}

const RENAME = 'expected old=new, separated by commas (in the twin: an object)';

function readRename(value: JsonValue): Readonly<Record<string, string>> {
  if (typeof value === 'string') return renameText(value);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new FieldProblem(RENAME);
  return Object.fromEntries(
    Object.entries(value).map(([from, to]) => {
      if (typeof to !== 'string' || to === '') throw new FieldProblem(RENAME);
      return [from, to];
    }),
  );
}

function renameText(given: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.split(',').map((part) => {
      const at = part.indexOf('=');
      const from = part.slice(0, at).trim();
      const to = part.slice(at + 1).trim();
      if (at < 1 || from === '' || to === '') throw new FieldProblem(RENAME);
      return [from, to];
    }),
  );
}

function extras(given: readonly string[]): readonly Extra[] {
  return given.map((name) => {
    const known = EXTRAS.find((extra) => extra === name);
    if (known === undefined) throw new FieldProblem(`expected some of ${EXTRAS.join(', ')}`);
    return known;
  });
}

const rate = { min: 0, max: 1_000_000_000, default: 0 } as const;

/** What is published of an entry, whether, how fast and where to. */
export const shapeFields = {
  filterField: text({
    env: 'MQTT_FILTER_FIELD',
    twin: 'filterField',
    description:
      'Only entries that have one of MQTT_FILTER_VALUES in this field are published; the others are acknowledged and counted.',
  }),
  filterValues: list({
    env: 'MQTT_FILTER_VALUES',
    twin: 'filterValues',
    default: [],
    description: 'See MQTT_FILTER_FIELD.',
  }),
  filterRules: custom<readonly FilterRule[]>({
    env: 'FILTER_RULES',
    twin: 'filterRules',
    type: 'JSON',
    default: [],
    description:
      'Further rules, all of which an entry must meet: `[{"field":"type","values":["alert"]},{"field":"debug","exists":false,"streams":["device:*"]}]`; `not` is the opposite of `values`.',
    fromText: (given) => fromJsonText(given, readRules, RULE),
    fromJson: (value) =>
      typeof value === 'string' ? fromJsonText(value, readRules, RULE) : readRules(value),
  }),
  payloadFormat: choice({
    env: 'PAYLOAD_FORMAT',
    twin: 'payloadFormat',
    choices: ['json', 'raw'],
    default: 'json',
    description: '`json`: stream, id, data, timestamp. `raw`: the bytes of PAYLOAD_FIELD as they are.',
  }),
  payloadField: text({
    env: 'PAYLOAD_FIELD',
    twin: 'payloadField',
    description: 'Field whose value is the payload with PAYLOAD_FORMAT=raw.',
  }),
  fieldsSelect: list({
    env: 'FIELDS_SELECT',
    twin: 'fieldsSelect',
    default: [],
    description: 'Fields to publish; empty means all.',
  }),
  fieldsRename: custom<Readonly<Record<string, string>>>({
    env: 'FIELDS_RENAME',
    twin: 'fieldsRename',
    type: 'old=new, separated by commas (in the twin: an object)',
    default: {},
    description: 'Names that fields get in `data`.',
    fromText: renameText,
    fromJson: readRename,
  }),
  parseNumbers: flag({
    env: 'PARSE_NUMBERS',
    twin: 'parseNumbers',
    default: false,
    description:
      'Values that are numbers (at most 15 digits) become JSON numbers; everything is text otherwise.',
  }),
  payloadExtras: custom<readonly Extra[]>({
    env: 'PAYLOAD_EXTRAS',
    twin: 'payloadExtras',
    type: `some of ${EXTRAS.join(', ')}`,
    default: [],
    description: 'Further fields of the payload.',
    fromText: (given) => extras(textsOf(given)),
    fromJson(value) {
      if (typeof value === 'string') return this.fromText(value);
      if (!isTexts(value)) throw new FieldProblem(`expected some of ${EXTRAS.join(', ')}`);
      return extras(value);
    },
  }),
  maxMessagesPerSecond: integer({
    env: 'MAX_MESSAGES_PER_SECOND',
    twin: 'maxMessagesPerSecond',
    ...rate,
    unit: 'messages/s',
    description: 'Cap over all streams; 0 is none.',
  }),
  maxBytesPerSecond: integer({
    env: 'MAX_BYTES_PER_SECOND',
    twin: 'maxBytesPerSecond',
    ...rate,
    unit: 'bytes/s',
    description: 'Cap of topics and payloads over all streams; 0 is none.',
  }),
  maxTopicMessagesPerSecond: integer({
    env: 'MAX_TOPIC_MESSAGES_PER_SECOND',
    twin: 'maxTopicMessagesPerSecond',
    ...rate,
    unit: 'messages/s',
    description: 'Cap for each stream, which is a topic of its own; 0 is none.',
  }),
  maxTopicBytesPerSecond: integer({
    env: 'MAX_TOPIC_BYTES_PER_SECOND',
    twin: 'maxTopicBytesPerSecond',
    ...rate,
    unit: 'bytes/s',
    description: 'As MAX_BYTES_PER_SECOND, for each stream; 0 is none.',
  }),
  sink: choice({
    env: 'SINK',
    twin: 'sink',
    choices: ['mqtt', 'edgehub'],
    default: 'mqtt',
    description:
      '`edgehub`: entries go to an output of the module, for a route to `$upstream` or another module.',
  }),
  edgehubOutput: text({
    env: 'EDGEHUB_OUTPUT',
    twin: 'edgehubOutput',
    default: 'entries',
    pattern: /^[A-Za-z0-9_-]{1,64}$/,
    form: 'a name of letters, digits, _ and -',
    description: 'Name of the output.',
  }),
  edgehubIntervalMs: integer({
    env: 'EDGEHUB_INTERVAL_MS',
    twin: 'edgehubIntervalMs',
    min: 0,
    max: 86_400_000,
    default: 1000,
    unit: 'ms',
    description: 'Least time between two messages to the output: IoT Hub bills each.',
  }),
  edgehubMaxEntries: integer({
    env: 'EDGEHUB_MAX_ENTRIES',
    twin: 'edgehubMaxEntries',
    min: 1,
    max: 10_000,
    default: 500,
    unit: 'entries',
    description: 'Most entries in one message to the output.',
  }),
  edgehubMaxBytes: integer({
    env: 'EDGEHUB_MAX_BYTES',
    twin: 'edgehubMaxBytes',
    min: 2048,
    max: 262_144,
    default: 240_000,
    unit: 'bytes',
    description: 'Largest message to the output; IoT Hub takes 256 KB.',
  }),
  paused: flag({
    env: 'BRIDGE_PAUSED',
    twin: 'paused',
    default: false,
    live: true,
    description:
      'Read and publish nothing until it is false again; outlasts restarts, unlike the method Pause.',
  }),
  logFormat: text({
    env: 'LOG_FORMAT',
    description: 'Accepted and ignored, with one warning: the format of log lines is fixed.',
  }),
};
