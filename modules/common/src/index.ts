export type { Clock } from './clock.ts';
export { sleep, systemClock } from './clock.ts';
export { Crc64, crc64 } from './crc64.ts';
export type { Component, ComponentHealth } from './runner/component.ts';
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
export type { ModuleContext, ModuleDefinition, Part } from './runner/module.ts';
export { FingerprintSet, fingerprint } from './fingerprint-set.ts';
export { redactText } from './redact.ts';
export { CommandBuffer, readBulk, viewOf } from './redis/command-buffer.ts';
export type { RedisClient } from './redis/redis-clients.ts';
export type { RedisConnectionOptions } from './redis/redis-connection.ts';
export { RedisConnection } from './redis/redis-connection.ts';
export type { Endpoint, EndpointResult } from './redis/redis-endpoint.ts';
export { formatEndpoint, formatPlace, parseEndpoint, parsePlace } from './redis/redis-endpoint.ts';
export { classifyRedisError, replyWord } from './redis/redis-errors.ts';
export type { RedisFacts } from './redis/redis-facts.ts';
export { durabilityWarnings, hasVersion } from './redis/redis-facts.ts';
export type { RedisScript } from './redis/redis-script.ts';
export { callScript, defineScript } from './redis/redis-script.ts';
export { sendEncoded, sendEncodedByKey } from './redis/send-encoded.ts';
export type { RedisState, RedisStatus } from './redis/redis-status.ts';
export { placeText, RedisCallError } from './redis/redis-status.ts';
export type { RedisPlace, RedisSettings, RedisTarget } from './redis/redis-settings.ts';
export {
  checkRedis,
  missingRedis,
  redisFieldNames,
  redisFields,
  redisTarget,
} from './redis/redis-settings.ts';
export type { Backoff, RetryOptions, Schedule } from './retry.ts';
export { deadline, exponential, retry } from './retry.ts';
export { runModule } from './runner/run-module.ts';
export type { Declaration, Field, Fields, SettingsOf } from './settings/settings.ts';
export { choice, custom, FieldProblem, flag, integer, list, number, text } from './settings/settings.ts';
export { allFields, commonFields } from './settings/settings-common.ts';
export { globMatcher } from './redis/glob.ts';
export { optionalBucket, TokenBucket } from './token-bucket.ts';
export type { TlsFiles, TlsMaterial } from './tls-files.ts';
export { readTlsFiles } from './tls-files.ts';
export { parseConfigFile } from './settings/settings-file.ts';
export type { Check, Origin, Parsed, Sources } from './settings/settings-parse.ts';
export { parseSettings } from './settings/settings-parse.ts';
export { settingsTable } from './settings/settings-table.ts';
export type { RunningModule, StartOptions } from './runner/start-module.ts';
export { startModule } from './runner/start-module.ts';
export type { StandaloneEdge } from './edge/standalone-edge.ts';
export { createStandaloneEdge } from './edge/standalone-edge.ts';
