import { readStateFile, writeStateFile } from '../state-file.ts';
import { filterMatches, kindOf, type SubscriptionKind } from './subscriptions.ts';

type Qos = 0 | 1;

/** The subscriptions of a client. */
export class Session {
  readonly #filters: Map<string, Qos>;
  readonly #saved: ((session: Session) => void) | null;

  constructor(filters: Iterable<readonly [string, Qos]>, saved: ((session: Session) => void) | null) {
    this.#filters = new Map(filters);
    this.#saved = saved;
  }

  get filters(): readonly (readonly [string, Qos])[] {
    return [...this.#filters];
  }

  add(subscriptions: Iterable<readonly [string, Qos]>): void {
    for (const [filter, qos] of subscriptions) this.#filters.set(filter, qos);
    this.#saved?.(this);
  }

  remove(filters: Iterable<string>): void {
    for (const filter of filters) this.#filters.delete(filter);
    this.#saved?.(this);
  }

  has(kind: SubscriptionKind): boolean {
    return [...this.#filters.keys()].some((filter) => kindOf(filter) === kind);
  }

  /** The highest granted quality of service among the filters that match, undefined when none does. */
  qosFor(topic: string): Qos | undefined {
    let found: Qos | undefined;
    for (const [filter, qos] of this.#filters) {
      if ((found === undefined || qos > found) && filterMatches(filter, topic)) found = qos;
    }
    return found;
  }
}

/** Persistent sessions by module id. As in edgeHub, a session exists from its first change of subscriptions on. */
export class SessionStore {
  readonly #file: string;
  readonly #sessions: Map<string, (readonly [string, Qos])[]>;

  constructor(file: string) {
    this.#file = file;
    const saved = readStateFile(file) as Record<string, (readonly [string, Qos])[]> | undefined;
    this.#sessions = new Map(Object.entries(saved ?? {}));
  }

  /** `clean` deletes what was kept and gives a session that is not kept [MQTT-3.1.2-6]. */
  open(moduleId: string, clean: boolean): { session: Session; present: boolean } {
    if (clean) {
      this.forget(moduleId);
      return { session: new Session([], null), present: false };
    }
    const kept = this.#sessions.get(moduleId);
    const save = (session: Session) => {
      this.#sessions.set(moduleId, [...session.filters]);
      this.#save();
    };
    return { session: new Session(kept ?? [], save), present: kept !== undefined };
  }

  forget(moduleId: string): void {
    if (this.#sessions.delete(moduleId)) this.#save();
  }

  clear(): void {
    this.#sessions.clear();
    this.#save();
  }

  #save(): void {
    writeStateFile(this.#file, Object.fromEntries(this.#sessions));
  }
}
