import { isDeepStrictEqual } from 'node:util';
import type { Clock } from './clock.ts';
import { sleep } from './clock.ts';
import type { Component, ComponentHealth } from './component.ts';
import type { JsonObject, MethodHandler } from './edge/edge.ts';
import { errorText } from './errors.ts';
import type { Log } from './log.ts';
import type { Part } from './module.ts';
import type { PartSchedules } from './part-start.ts';
import { abortable, partSchedules } from './part-start.ts';
import { retry } from './retry.ts';

/** Settings with the desired properties they were made of. */
export interface Target<S> {
  readonly settings: S;
  readonly desired: JsonObject;
}

interface Running<S> {
  component: Component<S> | undefined;
  target: Target<S>;
  isStarted: boolean;
  error?: string;
}

export type KeyState =
  { readonly kind: 'in use' | 'pending' } | { readonly kind: 'waiting' | 'failed'; readonly detail: string };

export interface PartHostOptions<S> {
  readonly part: Part<S>;
  readonly isLive: (key: keyof S & string) => boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly onChange: () => void;
  /** How long a component that was replaced may drain. */
  readonly drainMs: number;
  readonly random?: () => number;
}

/** Time that the last good settings of an exclusive part get to come back. */
const RESTORE_MS = 5000;

/** Keeps one part of a module at the newest settings that work. */
export class PartHost<S> {
  readonly #options: PartHostOptions<S>;
  readonly #schedules: PartSchedules;
  #target: Target<S> | undefined;
  #active: Running<S> | undefined;
  #candidate: Running<S> | undefined;
  #missing: string | undefined;
  #work = new AbortController();
  #queue: Promise<void> = Promise.resolve();

  constructor(options: PartHostOptions<S>) {
    this.#options = options;
    this.#schedules = partSchedules(options.random ?? Math.random);
  }

  get name(): string {
    return this.#options.part.name;
  }

  method(name: string): MethodHandler | undefined {
    return this.#active?.component?.methods?.[name];
  }

  /** Settings that the component at work was made with; undefined while there is none. */
  get inUse(): Target<S> | undefined {
    return this.#active?.target;
  }

  get isStarted(): boolean {
    return this.#active?.isStarted === true && this.#missing === undefined;
  }

  /** Takes new settings at once; what is under way for older ones is given up. */
  apply(target: Target<S>): void {
    const before = this.#target;
    this.#target = target;
    if (before && this.#changed(before, target).length === 0) return;
    this.#work.abort();
    const work = new AbortController();
    this.#work = work;
    this.#queue = this.#queue
      .then(() => this.#bring(target, work.signal))
      .catch((error: unknown) => {
        if (work.signal.aborted) return;
        this.#options.log.error('applying settings to a part failed', {
          part: this.name,
          error: errorText(error),
        });
      });
  }

  health(): ComponentHealth {
    if (this.#missing !== undefined) return { state: 'down', detail: this.#missing };
    const active = this.#active;
    if (!active) return { state: 'down', detail: 'not created yet' };
    const own = active.component?.health() ?? { state: 'down' };
    const detail = own.detail ?? active.error;
    const withDetail = detail === undefined ? own : { ...own, detail };
    if (!active.isStarted) return { ...withDetail, state: 'down', detail: detail ?? 'starting' };
    const failure = this.#candidate?.error;
    if (own.state !== 'ok' || failure === undefined) return own.state === 'ok' ? own : withDetail;
    return { ...own, state: 'degraded', detail: `the new settings are not in use: ${failure}` };
  }

  /** How far a setting has come into effect here. */
  keyState(key: keyof S & string): KeyState {
    if (this.#missing !== undefined) return { kind: 'waiting', detail: this.#missing };
    const active = this.#active;
    const target = this.#target;
    if (!active || !target) return { kind: 'pending' };
    if (!isDeepStrictEqual(active.target.settings[key], target.settings[key])) {
      const failure = this.#candidate?.error;
      return failure === undefined ? { kind: 'pending' } : { kind: 'failed', detail: failure };
    }
    if (!active.isStarted) {
      return active.error === undefined ? { kind: 'pending' } : { kind: 'failed', detail: active.error };
    }
    const own = active.component?.health();
    return own?.state === 'down' ? { kind: 'failed', detail: own.detail ?? 'down' } : { kind: 'in use' };
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#work.abort();
    await this.#queue;
    await this.#active?.component?.stop(signal);
  }

  #changed(before: Target<S>, after: Target<S>): (keyof S & string)[] {
    return this.#options.part.uses.filter(
      (key) => !isDeepStrictEqual(before.settings[key], after.settings[key]),
    );
  }

  async #bring(target: Target<S>, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { part, isLive } = this.#options;
    this.#missing = part.missing?.(target.settings);
    const active = this.#active;
    if (this.#missing !== undefined) {
      this.#active = undefined;
      await this.#release(active);
      this.#options.onChange();
      return;
    }
    const changed = active ? this.#changed(active.target, target) : [];
    const canKeep =
      changed.every((key) => isLive(key)) &&
      (changed.length === 0 || active?.component?.applyLive !== undefined);
    if (active && canKeep) {
      active.target = target;
      if (changed.length > 0) active.component?.applyLive?.(target.settings);
      this.#options.onChange();
      if (!active.isStarted) await this.#startUntilDone(active, signal);
    } else if (!active?.isStarted) {
      // Nothing works yet that could be kept: the new one answers from now on.
      this.#active = { component: undefined, target, isStarted: false };
      await this.#release(active);
      await this.#startUntilDone(this.#active, signal);
    } else if (part.exclusive === true) {
      await this.#replaceExclusive(active, target, signal);
    } else {
      await this.#replace(active, target, signal);
    }
  }

  /** One attempt; a component that pays no heed to the signal does not hold up newer settings. */
  async #start(running: Running<S>, signal: AbortSignal): Promise<void> {
    try {
      running.component ??= this.#create(running);
      await abortable(running.component.start(signal), signal);
      delete running.error;
      running.isStarted = true;
    } catch (error) {
      if (!signal.aborted) running.error = errorText(error);
      throw error;
    }
  }

  #create(running: Running<S>): Component<S> {
    const component = this.#options.part.create(running.target.settings);
    component.onHealthChange?.(() => this.#options.onChange());
    return component;
  }

  /** Tries until it works or the signal aborts; `running` may be the active one all the time. */
  async #startUntilDone(
    running: Running<S>,
    signal: AbortSignal,
    schedule = this.#schedules.starting,
  ): Promise<void> {
    let last = '';
    await retry(() => this.#start(running, signal), {
      signal,
      schedule,
      clock: this.#options.clock,
      onFailure: (error, failures, waitMs) => {
        const text = errorText(error);
        const fields = { part: this.name, error: text, failures, waitMs };
        if (text === last) this.#options.log.debug('a part did not start', fields);
        else this.#options.log.warn('a part did not start and is tried again', fields);
        last = text;
        this.#options.onChange();
      },
    });
    this.#options.onChange();
  }

  async #replace(old: Running<S>, target: Target<S>, signal: AbortSignal): Promise<void> {
    const candidate: Running<S> = { component: undefined, target, isStarted: false };
    this.#candidate = candidate;
    try {
      await this.#startUntilDone(candidate, signal, this.#schedules.replacing);
    } catch (error) {
      await this.#release(candidate);
      throw error;
    } finally {
      this.#candidate = undefined;
    }
    this.#active = candidate;
    this.#options.onChange();
    await this.#release(old);
  }

  async #replaceExclusive(old: Running<S>, target: Target<S>, signal: AbortSignal): Promise<void> {
    let holder = old;
    for (let failures = 1; ; failures += 1) {
      holder.isStarted = false;
      await this.#release(holder);
      const candidate: Running<S> = { component: undefined, target, isStarted: false };
      this.#candidate = candidate;
      try {
        await this.#start(candidate, signal);
        this.#active = candidate;
        this.#candidate = undefined;
        this.#options.onChange();
        return;
      } catch (error) {
        await this.#release(candidate);
        holder = { component: undefined, target: old.target, isStarted: false };
        this.#active = holder;
        if (signal.aborted) throw error;
        this.#options.log.warn('a part did not start; the last good settings come back', {
          part: this.name,
          error: errorText(error),
        });
        this.#options.onChange();
        await this.#restore(holder, signal);
        const waitMs = holder.isStarted ? this.#schedules.exclusive(failures) : 0;
        await sleep(waitMs, signal, this.#options.clock);
      } finally {
        if (signal.aborted) this.#candidate = undefined;
      }
    }
  }

  /** Gives the last good settings some time; when they do not work either, the new ones are as good. */
  async #restore(holder: Running<S>, signal: AbortSignal): Promise<void> {
    const limit = new AbortController();
    const cancel = this.#options.clock.after(RESTORE_MS, () => limit.abort());
    try {
      await this.#startUntilDone(holder, AbortSignal.any([signal, limit.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
    } finally {
      cancel();
    }
  }

  /** Stops what is no longer used; that must not hold up what replaces it. */
  async #release(running: Running<S> | undefined): Promise<void> {
    const component = running?.component;
    if (!component) return;
    const limit = new AbortController();
    const cancel = this.#options.clock.after(this.#options.drainMs, () => limit.abort());
    try {
      await component.stop(limit.signal);
    } catch (error) {
      this.#options.log.warn('stopping a replaced part failed', { part: this.name, error: errorText(error) });
    } finally {
      cancel();
    }
  }
}
