import type { Shaping } from '../streams/bridged-stream.ts';
import type { FilterRule } from './filter.ts';
import { createFilter } from './filter.ts';
import { globMatcher } from '@iotedge-redis/common';
import { createPayloads } from './payload.ts';
import type { BridgeSettings } from '../settings.ts';
import { dependsOnFields, topicFor } from './topic.ts';

/** Prepares what the entries of one stream become. */
export function shapingFor(
  settings: BridgeSettings,
  stream: {
    readonly db: number;
    readonly key: Buffer;
    readonly name: string;
    readonly instance: string;
    readonly withDb: boolean;
  },
): Shaping {
  const rules = [...settings.filterRules, ...seedRule(settings)].filter((rule) => isFor(rule, stream.name));
  const parts = {
    base: settings.mqttBaseTopic,
    stream: stream.key,
    db: stream.db,
    instance: stream.instance,
    withDb: stream.withDb,
  };
  const fixed = dependsOnFields(settings.mqttTopic) ? undefined : topicFor(settings.mqttTopic, parts);
  return {
    filter: createFilter(rules),
    payload: createPayloads(
      {
        format: settings.payloadFormat,
        rawField: settings.payloadField ?? '',
        select: settings.fieldsSelect,
        rename: settings.fieldsRename,
        parseNumbers: settings.parseNumbers,
        extras: settings.payloadExtras,
      },
      { stream: stream.name, db: stream.db },
    ),
    topic: fixed === undefined ? (field) => topicFor(settings.mqttTopic, parts, field) : () => fixed,
    isJson: settings.payloadFormat === 'json',
  };
}

function seedRule(settings: BridgeSettings): FilterRule[] {
  return settings.filterField === undefined
    ? []
    : [{ field: settings.filterField, values: settings.filterValues }];
}

function isFor(rule: FilterRule, name: string): boolean {
  return rule.streams?.some((pattern) => globMatcher(pattern)(name)) ?? true;
}
