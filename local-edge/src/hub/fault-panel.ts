import { EventEmitter } from 'node:events';
import type { FaultSwitches } from './hub-api.ts';

/** The fault switches; those that act on what is already open tell their listeners at once. */
export class FaultPanel implements FaultSwitches {
  connack: number | null = null;
  noPuback = false;
  noTwinReply = false;
  signFails = false;
  trustBundleFails = false;
  readonly #changes = new EventEmitter<{ refuse: [boolean]; stall: [boolean] }>();
  #refuse = false;
  #stall = false;

  get refuse(): boolean {
    return this.#refuse;
  }

  set refuse(on: boolean) {
    if (on === this.#refuse) return;
    this.#refuse = on;
    this.#changes.emit('refuse', on);
  }

  get stall(): boolean {
    return this.#stall;
  }

  set stall(on: boolean) {
    if (on === this.#stall) return;
    this.#stall = on;
    this.#changes.emit('stall', on);
  }

  onChange(fault: 'refuse' | 'stall', listener: (on: boolean) => void): () => void {
    this.#changes.on(fault, listener);
    return () => void this.#changes.off(fault, listener);
  }
}
