import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { createDesiredSettings } from '../settings/desired-settings.ts';
import { createDesiredStore } from '../settings/desired-store.ts';
import type { Edge, JsonObject } from '../edge/edge.ts';
import { isStandalone, openEdge } from '../edge/open-edge.ts';
import { errorText } from '../errors.ts';
import { healthPayload } from './health.ts';
import { startHttpServer } from '../http/http-server.ts';
import type { Log } from '../log.ts';
import { createMethodTable } from './method-table.ts';
import { createMetrics } from '../metrics.ts';
import type { ModuleContext, ModuleDefinition } from './module.ts';
import { createParts } from './parts.ts';
import type { ProcessFacts } from './process-metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { createReporter } from '../reported/reporter.ts';
import type { Fields, SettingsOf } from '../settings/settings.ts';
import type { CommonFields } from '../settings/settings-common.ts';
import { allFields } from '../settings/settings-common.ts';
import type { Check, Sources } from '../settings/settings-parse.ts';
import { parseSettings } from '../settings/settings-parse.ts';
import type { StopStep } from './stop-steps.ts';
import { runStopSteps } from './stop-steps.ts';
import { createTwinAnswers } from '../reported/twin-answers.ts';

export interface StartOptions {
  readonly sources: Omit<Sources, 'desired'>;
  readonly log: Log;
  /** Name of the device where there is no IoT Edge to tell it. */
  readonly hostName: string;
  /** Instead of the one that the environment calls for. */
  readonly edge?: Edge;
  readonly clock?: Clock;
  readonly processFacts?: () => ProcessFacts;
  /** Whether accepted desired properties are kept in STATE_DIR; by default under IoT Edge only. */
  readonly keepDesired?: boolean;
}

export interface RunningModule {
  readonly port: number;
  readonly edge: Edge;
  readonly stopDeadlineMs: number;
  /** After this part of it, the signal of `stop` should abort. */
  readonly drainMs: number;
  health(): JsonObject;
  /** Drains and releases in reverse order; the signal aborting means "now". Never rejects; false when something failed. */
  stop(signal: AbortSignal): Promise<boolean>;
}

/** Part of the stop time in which work may end by itself; the rest is for what has to be cut off. */
const DRAIN_SHARE = 0.75;
/** How long a replaced component may finish its work. */
const DRAIN_MS = 5000;
const REPORT_INTERVAL_MS = 10_000;

/**
 * Builds a module and sets it to work. Resolves when the HTTP server listens and the parts have begun to start: their
 * outside systems, and edgeHub, may be away for days. Rejects with a ConfigError when the host's settings are wrong.
 */
export async function startModule<F extends Fields>(
  definition: ModuleDefinition<F>,
  options: StartOptions,
): Promise<RunningModule> {
  type S = SettingsOf<F>;
  const { log, clock = systemClock } = options;
  const fields: Fields = allFields(definition);
  const check: Check<Fields> | undefined =
    definition.check && ((given) => definition.check?.(given as S) ?? []);
  const first = parseSettings(fields, options.sources, check).settings;
  const host = first as SettingsOf<CommonFields>;
  log.level = host.logLevel;

  const startedAt = clock.now();
  const edge: Edge =
    options.edge ??
    openEdge({
      environment: options.sources.environment ?? {},
      log: log.child('edge'),
      standalone: { deviceId: options.hostName, moduleId: host.instanceName ?? definition.name },
    });
  const instance = edge.identity.moduleId;
  log.info('module starts', {
    module: definition.name,
    version: definition.version,
    instance,
    edge: edge.kind,
  });

  const keepsDesired = options.keepDesired ?? edge.kind === 'azure';
  const stateDir = keepsDesired ? host.stateDir : undefined;
  const store = stateDir === undefined ? undefined : createDesiredStore(stateDir, instance, fields, log);
  const metrics = createMetrics({
    prefix: definition.name,
    labels: edgeLabels(edge, options.sources.environment?.['IOTEDGE_IOTHUBHOSTNAME']),
  });
  const endMeasuring = options.processFacts
    ? registerProcessMetrics(metrics, options.processFacts)
    : undefined;
  const reporter = createReporter({
    send: (patch) => edge.report(patch),
    log,
    clock,
    // Only the hub counts messages.
    minIntervalMs: edge.kind === 'azure' ? REPORT_INTERVAL_MS : 0,
    ...(edge.kind === 'azure' ? {} : { settleMs: 0 }),
  });
  const ownKeys = new Set<string>();
  const context: ModuleContext = {
    name: definition.name,
    instance,
    stateDir: host.stateDir,
    log,
    metrics,
    edge,
    settingsVersion: () => desired.acceptedVersion ?? 0,
    report(key, value) {
      ownKeys.add(key);
      reporter.set(key, value);
    },
  };

  const desired = createDesiredSettings<Fields>({
    fields,
    sources: options.sources,
    check,
    stored: await store?.load(),
    clock,
    onStoredInvalid: (error) =>
      log.warn('the kept desired properties are not valid any more', { mistakes: error.mistakes }),
    onAccepted(document) {
      void store?.save(document);
      applySettings();
    },
    onRefused(document, error) {
      log.warn('desired properties refused; the last good ones stay', {
        version: document.version,
        mistakes: error.mistakes,
      });
      answers.refresh();
    },
  });

  const parts = createParts<S>({
    parts: definition.build(context),
    isLive: (key) => fields[key]?.live ?? false,
    log,
    clock,
    drainMs: DRAIN_MS,
    onChange: () => answers.refresh(),
  });
  const answers = createTwinAnswers({
    fields,
    desired,
    parts,
    reporter,
    isOwn: (property) => ownKeys.has(property),
    clock,
  });
  const applySettings = (): void => {
    const settings = desired.settings as S;
    log.level = (desired.settings as SettingsOf<CommonFields>).logLevel;
    parts.apply({ settings, desired: desired.accepted });
    answers.refresh();
  };

  const health = (): JsonObject =>
    healthPayload({
      name: definition.name,
      version: definition.version,
      instance,
      startedAt,
      now: clock.now(),
      settingsVersion: desired.acceptedVersion,
      edgeKind: edge.kind,
      edge: edge.status,
      parts: parts.health(),
    });
  const methods = createMethodTable({
    find: (name) =>
      name === 'Health' ? () => Promise.resolve({ status: 200, payload: health() }) : parts.method(name),
    whyNot: () => parts.whyDown(),
    log,
    metrics,
  });
  for (const name of new Set([...definition.methods, 'Health'])) edge.onMethod(name, methods.handler(name));
  edge.onDesired((document) => desired.receive(document));
  edge.onReported((reported) => {
    reporter.connected(reported);
    answers.refresh();
  });
  edge.onStatus((status) => {
    if (status.state !== 'connected') reporter.disconnected();
  });
  metrics.gauge('edge_connected', '1 while the module is connected to edgeHub', [], (gauge) =>
    gauge.set(edge.kind === 'azure' && edge.status.state === 'connected' ? 1 : 0),
  );
  metrics.gauge('ready', '1 while every part of the module works', [], (gauge) =>
    gauge.set(parts.isReady() ? 1 : 0),
  );

  let requests = 0;
  const http = await startHttpServer({
    port: host.httpPort,
    host: host.httpHost,
    metrics: () => metrics.text(),
    readiness: () => parts.readiness(),
    methods: isStandalone(edge)
      ? {
          names: () => edge.methodNames,
          invoke: (name, payload) => edge.invoke({ name, payload, requestId: `http-${(requests += 1)}` }),
          reported: () => edge.reported,
          token: host.methodsToken,
        }
      : undefined,
  });
  applySettings();
  edge.start();
  parts.onceReady(() => log.info('module is ready', { port: http.port, ms: clock.now() - startedAt }));

  let stopping: Promise<boolean> | undefined;
  const stopAll = async (signal: AbortSignal): Promise<boolean> => {
    log.info('module stops', { uptimeSeconds: Math.round((clock.now() - startedAt) / 1000) });
    desired.stop();
    answers.stop();
    const steps: readonly StopStep[] = [
      ['methods', () => methods.stop(signal)],
      ...parts.stops(signal),
      ['edge', () => edge.stop(signal)],
      ['http', () => http.stop(signal)],
      ['state', () => store?.idle() ?? Promise.resolve()],
    ];
    const isClean = await runStopSteps(steps, {
      signal,
      graceMs: ((1 - DRAIN_SHARE) * host.stopDeadlineMs) / (steps.length + 1),
      clock,
      onFailure: (name, error) =>
        log.error('stopping a part failed', { part: name, error: errorText(error) }),
    });
    reporter.stop();
    endMeasuring?.();
    return isClean;
  };
  return {
    port: http.port,
    edge,
    stopDeadlineMs: host.stopDeadlineMs,
    drainMs: DRAIN_SHARE * host.stopDeadlineMs,
    health,
    stop: (signal) => (stopping ??= stopAll(signal)),
  };
}

/** What the metrics collector of IoT Edge wants on every sample. */
function edgeLabels(edge: Edge, hubHostName: string | undefined): Record<string, string> {
  if (edge.kind !== 'azure') return {};
  const { deviceId, moduleId } = edge.identity;
  return {
    ...(hubHostName === undefined ? {} : { iothub: hubHostName }),
    edge_device: deviceId,
    module_name: moduleId,
  };
}
