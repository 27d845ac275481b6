import { LAST_OWN_ID } from './message-ids.ts';

interface Flight<K> {
  readonly key: K;
  readonly at: number;
}

/** What was published on one connection and is not answered, by packet identifier, oldest first. */
export class Flights<K> {
  readonly #flights = new Map<number, Flight<K>>();
  #lastId = 0;

  /** Takes the next identifier that is free; half of them are always. */
  add(key: K, now: number): number {
    do this.#lastId = this.#lastId >= LAST_OWN_ID ? 1 : this.#lastId + 1;
    while (this.#flights.has(this.#lastId));
    this.#flights.set(this.#lastId, { key, at: now });
    return this.#lastId;
  }

  get(id: number): Flight<K> | undefined {
    return this.#flights.get(id);
  }

  delete(id: number): void {
    this.#flights.delete(id);
  }

  /** When the oldest one was sent: messages are answered in order, so that it tells of a silent broker. */
  get oldestAt(): number {
    const [oldest] = this.#flights.values();
    return oldest?.at ?? Infinity;
  }

  clear(): void {
    this.#flights.clear();
  }
}
