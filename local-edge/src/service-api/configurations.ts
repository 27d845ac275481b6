import type { Hub, JsonObject } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import { applyContent, checkContent } from './configuration-content.ts';
import type { ConfigurationStore, StoredConfiguration } from './configuration-store.ts';
import type { DeviceTwin } from './device-twin.ts';
import { badArgument } from './request.ts';
import { isTargeted, parseTarget } from './target-condition.ts';
import { twinView } from './views.ts';

/** The etag of configurations: base64 of a decimal number. */
export function configurationEtag(configuration: StoredConfiguration): string {
  return Buffer.from(String(configuration.etagNumber)).toString('base64');
}

/** What a PUT body says, checked; a layered deployment is refused since nothing here merges layers. */
export function readConfiguration(
  id: string,
  body: JsonObject,
  current: StoredConfiguration | undefined,
): StoredConfiguration {
  const { content, targetCondition = '', priority = 0, labels, metrics } = body;
  if (!isObject(content)) throw badArgument('A configuration needs content');
  if (!isObject(content['modulesContent'])) {
    throw badArgument(
      'Only configurations with modulesContent are emulated, not deviceContent or moduleContent',
    );
  }
  if (
    !isObject(content['modulesContent']['$edgeAgent']) ||
    !('properties.desired' in content['modulesContent']['$edgeAgent'])
  ) {
    throw badArgument('Layered deployments are not emulated: $edgeAgent needs its whole properties.desired');
  }
  checkContent(content);
  if (typeof targetCondition !== 'string') throw badArgument('targetCondition must be a string');
  if (typeof priority !== 'number' || !Number.isInteger(priority) || priority < 0) {
    throw badArgument('priority must be a whole number from 0');
  }
  parseTarget(targetCondition);
  const now = new Date().toISOString();
  return {
    id,
    schemaVersion: typeof body['schemaVersion'] === 'string' ? body['schemaVersion'] : '1.0',
    labels: isObject(labels) ? labels : {},
    content,
    targetCondition,
    priority,
    metrics: isObject(metrics) ? metrics : {},
    createdTimeUtc: current?.createdTimeUtc ?? now,
    lastUpdatedTimeUtc: now,
    etagNumber: (current?.etagNumber ?? 0) + 1,
  };
}

export interface Configurations {
  list(): readonly StoredConfiguration[];
  get(id: string): StoredConfiguration | undefined;
  put(configuration: StoredConfiguration): Promise<void>;
  remove(id: string): Promise<void>;
  /** Deploys the winner when it is not the one that was applied last. */
  reconcile(): Promise<void>;
  targets(configuration: StoredConfiguration): boolean;
  applied(configuration: StoredConfiguration): boolean;
}

function mark(configuration: StoredConfiguration): string {
  return `${configuration.id}@${configuration.createdTimeUtc}@${configuration.etagNumber}`;
}

/** At-scale deployments for the one device: the highest priority wins, among equals the one made last. */
export function createConfigurations(
  hub: Hub,
  device: DeviceTwin,
  store: ConfigurationStore,
): Configurations {
  const targets = (configuration: StoredConfiguration): boolean =>
    isTargeted(parseTarget(configuration.targetCondition), twinView(hub, device.get()));
  const winnerOf = (all: readonly StoredConfiguration[]): StoredConfiguration | undefined =>
    all
      .filter(targets)
      .sort((a, b) => b.priority - a.priority || b.createdTimeUtc.localeCompare(a.createdTimeUtc))
      .at(0);
  // A configuration that the hub refuses must not be kept, so it is applied before it is stored.
  const settle = async (all: readonly StoredConfiguration[]): Promise<void> => {
    const winner = winnerOf(all);
    // Without a deployment left the modules stay, as on a real device.
    if (winner !== undefined && mark(winner) !== store.get().applied) {
      await applyContent(hub, winner.content);
      store.set({ configurations: all, applied: mark(winner) });
    } else store.set({ configurations: all });
  };
  const others = (id: string): StoredConfiguration[] =>
    store.get().configurations.filter((item) => item.id !== id);
  return {
    list: () => store.get().configurations,
    get: (id) => store.get().configurations.find((item) => item.id === id),
    put: (configuration) => settle([...others(configuration.id), configuration]),
    remove: (id) => settle(others(id)),
    reconcile: () => settle(store.get().configurations),
    targets,
    applied: (configuration) => store.get().applied === mark(configuration),
  };
}
