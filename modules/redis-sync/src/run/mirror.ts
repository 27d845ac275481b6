import { FingerprintSet, fingerprint } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import type { SweepOutcome, SyncKeys } from './checkpoint.ts';
import { packKeyBuffers, unpackKeys } from '../rows/key-list.ts';

/** 16 MiB of fingerprints at a time; more keys take more passes, not more memory. */
const CAPACITY = 2 * 1024 * 1024;
const PER_PASS = CAPACITY / 2;
const DELETE_AT_ONCE = 1000;
/** Before the name of a generation that owns nothing any more, and of which some lists may still be there. */
const FORGOTTEN = '-';

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
    const { names, forgotten } = await this.#owned();
    if (!names.includes(generation)) await this.#save([...names, generation], forgotten);
  }

  /**
   * Deletes what earlier generations hold and this one does not. May be repeated, until `forget` or `keep`: it counts by the
   * lists, not by what Redis still holds.
   */
  async sweep(
    generation: string,
    maxDeletePercent: number,
    alive: () => Promise<void>,
  ): Promise<SweepOutcome> {
    const old = (await this.#owned()).names.filter((name) => name !== generation);
    const passes = await this.#passes(old, generation, alive);
    const { owned, absent } = await this.#compare(old, generation, passes, alive, () => Promise.resolve());
    const isAllowed = absent * 100 <= maxDeletePercent * owned;
    if (isAllowed && absent > 0) await this.#compare(old, generation, passes, alive, this.#options.unlink);
    return { owned, absent, isAllowed };
  }

  /** From now on the file owns what this generation holds, and nothing else. May be repeated. */
  async forget(generation: string): Promise<void> {
    await this.#retain([generation]);
  }

  /**
   * Packs what earlier generations hold beyond this one into a single one, since lists must not pile up; the file owns it still.
   * May be repeated.
   */
  async keep(generation: string, alive: () => Promise<void>): Promise<void> {
    const kept = `${generation}-kept`;
    const { names, forgotten } = await this.#owned();
    // Once it is announced it is whole.
    if (!names.includes(kept)) {
      const old = names.filter((name) => name !== generation);
      const passes = await this.#passes(old, generation, alive);
      let index = 0;
      await this.#compare(old, generation, passes, alive, async (keys) => {
        if (keys.length === 0) return;
        const list = this.#options.keys.list(kept, index);
        index += 1;
        await this.#options.connection.run('writing a list of keys', (client) =>
          client.set(list, packKeyBuffers(keys)),
        );
      });
      if (index > 0) await this.#save([...names, kept], forgotten);
    }
    await this.#retain([kept, generation]);
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
      const packed = await this.#read(generation, index);
      if (packed === null) return;
      yield unpackKeys(packed);
    }
  }

  #read(generation: string, index: number): Promise<Buffer | null> {
    const list = this.#options.keys.list(generation, index);
    return this.#options.connection.run('reading a list of keys', (client) => client.getBuffer(list));
  }

  /** Removes the lists of all generations but these. */
  async #retain(stay: readonly string[]): Promise<void> {
    const owned = await this.#owned();
    const names = owned.names.filter((name) => stay.includes(name));
    const forgotten = [...owned.forgotten, ...owned.names.filter((name) => !stay.includes(name))];
    // First they own nothing any more, then they go: half of a generation must not count as all of it.
    if (forgotten.length > 0) await this.#save(names, forgotten);
    for (const name of forgotten) {
      let count = 0;
      while ((await this.#read(name, count)) !== null) count += 1;
      // The last one first, so that whoever goes on after an interruption finds the rest.
      while (count > 0) {
        count -= 1;
        const list = this.#options.keys.list(name, count);
        await this.#options.connection.run('forgetting a list of keys', (client) => client.del(list));
      }
    }
    await this.#save(names, []);
  }

  async #owned(): Promise<{ readonly names: readonly string[]; readonly forgotten: readonly string[] }> {
    const text = await this.#options.connection.run('reading what the file owns', (client) =>
      client.get(this.#options.keys.owned),
    );
    const value: unknown = text === null ? [] : JSON.parse(text);
    const all = Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
    return {
      names: all.filter((name) => !name.startsWith(FORGOTTEN)),
      forgotten: all.filter((name) => name.startsWith(FORGOTTEN)).map((name) => name.slice(FORGOTTEN.length)),
    };
  }

  async #save(names: readonly string[], forgotten: readonly string[]): Promise<void> {
    const all = [...names, ...forgotten.map((name) => `${FORGOTTEN}${name}`)];
    await this.#options.connection.run('writing what the file owns', (client) =>
      client.set(this.#options.keys.owned, JSON.stringify(all)),
    );
  }
}
