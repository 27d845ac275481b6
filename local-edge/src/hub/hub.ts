import { EventEmitter } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { noLog, type EdgeLog } from '../edge-log.ts';
import { EdgeError } from '../errors.ts';
import { checkConfiguration } from './configuration.ts';
import type { EdgeHubLink } from './edge-hub-link.ts';
import { EventLog } from './event-log.ts';
import { FaultPanel } from './fault-panel.ts';
import type { ConfigurationContent, Hub } from './hub-api.ts';
import { IdentityStore } from './identity-store.ts';
import { MethodRouter } from './method-router.ts';
import { TwinStore } from './twin-store.ts';

export interface HubOptions {
  /** Where identities, twins and events are kept. */
  readonly stateDir: string;
  readonly deviceId: string;
  /** The name of the IoT Hub, as in connection strings and token audiences. */
  readonly hostName: string;
  /** The name by which modules reach edgeHub; accepted in token audiences too. */
  readonly gatewayHostName?: string;
  readonly log?: EdgeLog;
  /** Milliseconds since 1970; tests bring their own. */
  readonly now?: () => number;
}

/** The IoT Hub of the local edge. edgeHub attaches itself; until then no module can be reached. */
export class HubCore implements Hub {
  readonly hostName: string;
  readonly gatewayHostName: string;
  readonly deviceId: string;
  readonly stateDir: string;
  readonly log: EdgeLog;
  readonly identities: IdentityStore;
  readonly twins: TwinStore;
  readonly methods: MethodRouter;
  readonly events: EventLog;
  readonly faults = new FaultPanel();
  readonly #now: () => number;
  readonly #configurations = new EventEmitter<{ applied: [ConfigurationContent] }>();
  #tokenClockOffset = 0;
  #link: EdgeHubLink | undefined;

  constructor(options: HubOptions) {
    this.hostName = options.hostName;
    this.gatewayHostName = options.gatewayHostName ?? options.hostName;
    this.deviceId = options.deviceId;
    this.stateDir = options.stateDir;
    this.log = options.log ?? noLog;
    this.#now = options.now ?? Date.now;
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
    this.twins = new TwinStore(join(options.stateDir, 'twins.json'), this.#now);
    this.identities = new IdentityStore({
      file: join(options.stateDir, 'identities.json'),
      deviceId: options.deviceId,
      now: this.#now,
      events: {
        added: (moduleId) => this.twins.create(moduleId),
        removed: (moduleId) => this.#forget(moduleId),
      },
    });
    // a module added just before the process died has an identity but no twin yet
    for (const { moduleId } of this.identities.list()) this.twins.create(moduleId);
    this.events = new EventLog(join(options.stateDir, 'events.ndjson'));
    this.methods = new MethodRouter({
      identities: this.identities,
      link: () => this.#link,
      played: (moduleId) => this.identities.setConnected(moduleId, true),
    });
  }

  /** The clock that token expiry is compared with, in milliseconds. */
  tokenNow(): number {
    return this.#now() + this.#tokenClockOffset;
  }

  attach(link: EdgeHubLink): void {
    this.#link = link;
    this.identities.setConnected('$edgeHub', true);
  }

  detach(): void {
    this.#link = undefined;
    this.identities.setConnected('$edgeHub', false);
  }

  applyConfiguration(content: ConfigurationContent): Promise<void> {
    const current = (moduleId: string) => this.twins.get(moduleId)?.desired.properties ?? {};
    const checked = checkConfiguration(content, current);
    if (checked.findings.length > 0) {
      return Promise.reject(new EdgeError('INVALID_CONFIGURATION', checked.findings.join('\n')));
    }
    for (const moduleId of checked.moduleIds) this.identities.add(moduleId, { managedBy: 'IotEdge' });
    for (const [moduleId, desired] of checked.desired) this.twins.replaceDesired(moduleId, { desired });
    this.#configurations.emit('applied', content);
    return Promise.resolve();
  }

  onConfiguration(listener: (content: ConfigurationContent) => void): () => void {
    this.#configurations.on('applied', listener);
    return () => void this.#configurations.off('applied', listener);
  }

  drop(how: 'fin' | 'rst', moduleId?: string): void {
    this.#link?.drop(how, moduleId);
  }

  loseSessions(): void {
    this.#link?.loseSessions();
  }

  shiftTokenClock(offsetMs: number): void {
    this.#tokenClockOffset = offsetMs;
    this.#link?.recheckTokens();
  }

  #forget(moduleId: string): void {
    this.#link?.forget(moduleId);
    this.twins.remove(moduleId);
  }
}

export function createHub(options: HubOptions): HubCore {
  return new HubCore(options);
}
