export type { Clock } from './clock.ts';
export { sleep, systemClock } from './clock.ts';
export type { Component, ComponentHealth } from './component.ts';
export type {
  DesiredDocument,
  Edge,
  EdgeIdentity,
  EdgeMessage,
  EdgeState,
  EdgeStatus,
  JsonObject,
  JsonValue,
  MethodHandler,
  MethodReply,
  MethodRequest,
} from './edge/edge.ts';
export type { ErrorCode, Mistake, SuiteErrorOptions } from './errors.ts';
export { ConfigError, ERROR_CODES, errorText, SuiteError } from './errors.ts';
export type { Log, LogFields, LogLevel } from './log.ts';
export { createLog } from './log.ts';
export type { Counter, Gauge, Histogram, Labels, Metrics } from './metrics.ts';
export { createMetrics } from './metrics.ts';
export type { ModuleContext, ModuleDefinition, Part } from './module.ts';
export { redactText } from './redact.ts';
export type { RedisClient } from './redis-clients.ts';
export type { RedisConnectionOptions } from './redis-connection.ts';
export { RedisConnection } from './redis-connection.ts';
export type { Endpoint, EndpointResult } from './redis-endpoint.ts';
export { formatEndpoint, formatPlace, parseEndpoint, parsePlace } from './redis-endpoint.ts';
export { classifyRedisError, replyWord } from './redis-errors.ts';
export type { RedisFacts } from './redis-facts.ts';
export { durabilityWarnings, hasVersion } from './redis-facts.ts';
export type { RedisScript } from './redis-script.ts';
export { callScript, defineScript } from './redis-script.ts';
export type { RedisState, RedisStatus } from './redis-status.ts';
export { RedisCallError } from './redis-status.ts';
export type { RedisPlace, RedisSettings, RedisTarget } from './redis-settings.ts';
export { checkRedis, missingRedis, redisFieldNames, redisFields, redisTarget } from './redis-settings.ts';
export type { Backoff, RetryOptions, Schedule } from './retry.ts';
export { deadline, exponential, retry } from './retry.ts';
export { runModule } from './run-module.ts';
export type { Declaration, Field, Fields, SettingsOf } from './settings.ts';
export { choice, custom, FieldProblem, flag, integer, list, number, text } from './settings.ts';
export { allFields, commonFields } from './settings-common.ts';
export { parseConfigFile } from './settings-file.ts';
export type { Check, Origin, Parsed, Sources } from './settings-parse.ts';
export { parseSettings } from './settings-parse.ts';
export { settingsTable } from './settings-table.ts';
export type { RunningModule, StartOptions } from './start-module.ts';
export { startModule } from './start-module.ts';
export type { StandaloneEdge } from './edge/standalone-edge.ts';
export { createStandaloneEdge } from './edge/standalone-edge.ts';
