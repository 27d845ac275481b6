/** Two independent 32-bit hashes of a key; together they name it among far more keys than fit into Redis. */
export function fingerprint(key: Buffer): { high: number; low: number } {
  let high = 0x811c9dc5;
  let low = 0x9747b28c;
  for (const byte of key) {
    high = Math.imul(high ^ byte, 0x01000193);
    low = Math.imul((low << 5) ^ (low >>> 27) ^ byte, 0x5bd1e995);
  }
  return { high: mix(high), low: mix(low ^ key.length) };
}

function mix(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** A set of fingerprints in a fixed piece of memory, each with a mark for having been visited. */
export class FingerprintSet {
  readonly #slots: Uint32Array;
  readonly #mask: number;

  /** `capacity` is a power of two; it takes up to half as many fingerprints, 8 bytes each. */
  constructor(capacity: number) {
    this.#slots = new Uint32Array(capacity * 2);
    this.#mask = capacity - 1;
  }

  add(high: number, low: number): void {
    this.#place(high, low);
  }

  /** Whether it had been added, the first time it is asked about; `again` from then on. */
  visit(high: number, low: number): 'kept' | 'absent' | 'again' {
    const { index, wasThere } = this.#place(high, low);
    const held = this.#slots[index] ?? 0;
    if ((held & VISITED) !== 0) return 'again';
    this.#slots[index] = held | VISITED;
    return wasThere ? 'kept' : 'absent';
  }

  clear(): void {
    this.#slots.fill(0);
  }

  #place(high: number, low: number): { index: number; wasThere: boolean } {
    // The lowest bits say that a place is taken, and whether it was visited.
    const wanted = ((high & ~MARKS) | TAKEN) >>> 0;
    const slots = this.#slots;
    for (let place = low & this.#mask; ; place = (place + 1) & this.#mask) {
      const index = place * 2;
      const held = slots[index] ?? 0;
      if (held === 0) {
        slots[index] = wanted;
        slots[index + 1] = low;
        return { index, wasThere: false };
      }
      if ((held & ~VISITED) >>> 0 === wanted && slots[index + 1] === low) return { index, wasThere: true };
    }
  }
}

const TAKEN = 1;
const VISITED = 2;
const MARKS = TAKEN | VISITED;
