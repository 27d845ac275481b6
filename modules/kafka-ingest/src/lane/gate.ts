/** Holds everybody up while there is a reason to. */
export class Gate {
  readonly #reasons = new Map<string, string>();
  #open: Promise<void> | undefined;
  #release: (() => void) | undefined;

  /** By what it is about, each a sentence. */
  get reasons(): ReadonlyMap<string, string> {
    return this.#reasons;
  }

  get isOpen(): boolean {
    return this.#reasons.size === 0;
  }

  close(name: string, reason: string): void {
    this.#reasons.set(name, reason);
    this.#open ??= new Promise((resolve) => (this.#release = resolve));
  }

  /** Takes one reason away, or all of them. */
  open(name?: string): void {
    if (name === undefined) this.#reasons.clear();
    else this.#reasons.delete(name);
    if (this.#reasons.size > 0) return;
    this.#release?.();
    this.#open = undefined;
  }

  async pass(): Promise<void> {
    while (this.#open !== undefined) await this.#open;
  }
}
