import { FingerprintSet, fingerprint } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import type { SyncKeys } from './checkpoint.ts';
import { packKeyBuffers, unpackKeys } from './key-list.ts';

/** 16 MiB of fingerprints at a time; more keys take more passes, not more memory. */
const CAPACITY = 2 * 1024 * 1024;
const PER_PASS = CAPACITY / 2;
const DELETE_AT_ONCE = 1000;

export interface SweepOutcome {
  /** Keys that the file held before, and of these the ones that it holds no longer. */
  readonly owned: number;
  readonly absent: number;
  /** False when more would have gone than allowed: nothing was deleted then. */
  readonly isAllowed: boolean;
}

export interface MirrorOptions {
  readonly connection: RedisConnection;
  readonly keys: SyncKeys;
  /** Deletes from Redis; called with up to a thousand keys. */
  readonly unlink: (keys: readonly Buffer[]) => Promise<void>;
  /** Keys per pass; smaller in tests. */
  readonly perPass?: number;
}

/** Knows which keys a file owns: lists written beside the rows, one generation per run. */
export class Mirror {
  readonly #options: MirrorOptions;

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  /** Announces a run's generation before its first list, so that an abandoned run's keys are still owned by the file. */
  async begin(generation: string): Promise<void> {
    const generations = await this.#generations();
    if (generations.includes(generation)) return;
    await this.#save([...generations, generation]);
  }

  /**
   * Deletes what earlier generations hold and this one does not, and forgets them. May be repeated: it counts by the lists,
   * not by what Redis still holds.
   */
  async sweep(
    generation: string,
    maxDeletePercent: number,
    alive: () => Promise<void>,
  ): Promise<SweepOutcome> {
    const old = (await this.#generations()).filter((name) => name !== generation);
    const passes = await this.#passes(old, generation, alive);
    const { owned, absent } = await this.#compare(old, generation, passes, alive, () => Promise.resolve());
    const isAllowed = absent * 100 <= maxDeletePercent * owned;
    if (!isAllowed) {
      await this.keep(generation, alive);
    } else {
      if (absent > 0) await this.#compare(old, generation, passes, alive, this.#options.unlink);
      await this.#forget(old, [generation]);
    }
    return { owned, absent, isAllowed };
  }

  /** Deletes nothing, and packs what earlier generations hold beyond this one into a single one: lists must not pile up. */
  async keep(generation: string, alive: () => Promise<void>): Promise<void> {
    const kept = `${generation}-kept`;
    const old = (await this.#generations()).filter((name) => name !== generation && name !== kept);
    let index = 0;
    await this.#compare(old, generation, await this.#passes(old, generation, alive), alive, async (keys) => {
      if (keys.length === 0) return;
      const list = this.#options.keys.list(kept, index);
      index += 1;
      await this.#options.connection.run('writing a list of keys', (client) =>
        client.set(list, packKeyBuffers(keys)),
      );
    });
    await this.#forget(old, index === 0 ? [generation] : [kept, generation]);
  }

  async #passes(old: readonly string[], generation: string, alive: () => Promise<void>): Promise<number> {
    let total = 0;
    for (const name of [...old, generation])
      for await (const keys of this.#lists(name, alive)) total += keys.length;
    return Math.max(1, Math.ceil(total / (this.#options.perPass ?? PER_PASS)));
  }

  async #compare(
    old: readonly string[],
    generation: string,
    passes: number,
    alive: () => Promise<void>,
    unlink: (keys: readonly Buffer[]) => Promise<void>,
  ): Promise<{ owned: number; absent: number }> {
    const present = new FingerprintSet(CAPACITY);
    let owned = 0;
    let absent = 0;
    for (let pass = 0; pass < passes; pass += 1) {
      present.clear();
      for await (const keys of this.#lists(generation, alive)) {
        for (const key of keys) {
          const { high, low } = fingerprint(key);
          if (high % passes === pass) present.add(high, low);
        }
      }
      let gone: Buffer[] = [];
      for (const name of old) {
        for await (const keys of this.#lists(name, alive)) {
          for (const key of keys) {
            const { high, low } = fingerprint(key);
            if (high % passes !== pass) continue;
            const visit = present.visit(high, low);
            if (visit === 'again') continue;
            owned += 1;
            if (visit === 'kept') continue;
            absent += 1;
            gone.push(key);
          }
          if (gone.length >= DELETE_AT_ONCE) {
            await unlink(gone);
            gone = [];
          }
        }
      }
      await unlink(gone);
    }
    return { owned, absent };
  }

  async *#lists(generation: string, alive: () => Promise<void>): AsyncGenerator<Buffer[]> {
    for (let index = 0; ; index += 1) {
      await alive();
      const name = this.#options.keys.list(generation, index);
      const packed = await this.#options.connection.run('reading a list of keys', (client) =>
        client.getBuffer(name),
      );
      if (packed === null) return;
      yield unpackKeys(packed);
    }
  }

  async #forget(old: readonly string[], stay: readonly string[]): Promise<void> {
    await this.#save(stay);
    for (const name of old) {
      for (let index = 0; ; index += 1) {
        const list = this.#options.keys.list(name, index);
        const removed = await this.#options.connection.run('forgetting a list of keys', (client) =>
          client.del(list),
        );
        if (removed === 0) break;
      }
    }
  }

  async #generations(): Promise<string[]> {
    const text = await this.#options.connection.run('reading what the file owns', (client) =>
      client.get(this.#options.keys.owned),
    );
    const value: unknown = text === null ? [] : JSON.parse(text);
    return Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
  }

  async #save(generations: readonly string[]): Promise<void> {
    await this.#options.connection.run('writing what the file owns', (client) =>
      client.set(this.#options.keys.owned, JSON.stringify(generations)),
    );
  }
}
