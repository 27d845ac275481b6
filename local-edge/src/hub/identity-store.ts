import { randomBytes, randomInt } from 'node:crypto';
import { omit } from '../omit.ts';
import { readStateFile, writeStateFile } from '../state-file.ts';
import type { ConnectionInfo, Identities, ModuleIdentity } from './hub-api.ts';

const never = '0001-01-01T00:00:00Z';

interface SavedIdentities {
  readonly deviceKeys: { readonly primary: string; readonly secondary: string };
  readonly modules: readonly Omit<ModuleIdentity, 'deviceId'>[];
}

export interface IdentityEvents {
  added(moduleId: string): void;
  removed(moduleId: string): void;
}

/** The device and its module identities, kept in one state file; who is connected is known in memory only. */
export class IdentityStore implements Identities {
  readonly deviceId: string;
  readonly deviceKeys: { readonly primary: string; readonly secondary: string };
  readonly #file: string;
  readonly #now: () => number;
  readonly #events: IdentityEvents;
  readonly #modules = new Map<string, ModuleIdentity>();
  readonly #connections = new Map<string, ConnectionInfo>();

  constructor(options: { file: string; deviceId: string; now: () => number; events: IdentityEvents }) {
    this.deviceId = options.deviceId;
    this.#file = options.file;
    this.#now = options.now;
    this.#events = options.events;
    const saved = readStateFile(options.file) as SavedIdentities | undefined;
    this.deviceKeys = saved?.deviceKeys ?? { primary: newKey(), secondary: newKey() };
    for (const module of saved?.modules ?? []) {
      this.#modules.set(module.moduleId, { ...module, deviceId: this.deviceId });
    }
    for (const moduleId of ['$edgeAgent', '$edgeHub']) this.add(moduleId, { managedBy: 'IotEdge' });
  }

  list(): ModuleIdentity[] {
    return [...this.#modules.values()];
  }

  get(moduleId: string): ModuleIdentity | undefined {
    return this.#modules.get(moduleId);
  }

  add(
    moduleId: string,
    options: { managedBy?: string | null; primaryKey?: string; secondaryKey?: string } = {},
  ): ModuleIdentity {
    const existing = this.#modules.get(moduleId);
    if (existing !== undefined) return existing;
    const identity: ModuleIdentity = {
      deviceId: this.deviceId,
      moduleId,
      // as IoT Hub does: the time of creation in 100 ns steps since year 1
      generationId: (BigInt(this.#now()) * 10_000n + 621_355_968_000_000_000n).toString(),
      primaryKey: options.primaryKey ?? newKey(),
      secondaryKey: options.secondaryKey ?? newKey(),
      managedBy: options.managedBy ?? null,
      etag: Buffer.from(String(randomInt(100_000_000, 1_000_000_000))).toString('base64'),
    };
    this.#modules.set(moduleId, identity);
    this.#save();
    this.#events.added(moduleId);
    return identity;
  }

  remove(moduleId: string): boolean {
    if (!this.#modules.delete(moduleId)) return false;
    this.#connections.delete(moduleId);
    this.#save();
    this.#events.removed(moduleId);
    return true;
  }

  connection(moduleId: string): ConnectionInfo {
    return (
      this.#connections.get(moduleId) ?? {
        connected: false,
        stateUpdatedTime: never,
        lastActivityTime: never,
      }
    );
  }

  setConnected(moduleId: string, connected: boolean): void {
    if (!this.#modules.has(moduleId)) return;
    const time = new Date(this.#now()).toISOString();
    this.#connections.set(moduleId, { connected, stateUpdatedTime: time, lastActivityTime: time });
  }

  /** Notes that a connected module did something. */
  touch(moduleId: string): void {
    const known = this.#connections.get(moduleId);
    if (known === undefined) return;
    this.#connections.set(moduleId, { ...known, lastActivityTime: new Date(this.#now()).toISOString() });
  }

  #save(): void {
    const modules = this.list().map((identity) => omit(identity, 'deviceId'));
    writeStateFile(this.#file, { deviceKeys: this.deviceKeys, modules } satisfies SavedIdentities);
  }
}

function newKey(): string {
  return randomBytes(32).toString('base64');
}
