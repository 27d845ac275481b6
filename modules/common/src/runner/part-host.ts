import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { Component, ComponentHealth } from './component.ts';
import type { MethodHandler } from '../edge/edge.ts';
import { errorText } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Part } from './module.ts';
import type { PartSchedules } from './part-start.ts';
import { abortable, partSchedules, within } from './part-start.ts';
import type { KeyState, PartState, Running, Target } from './part-state.ts';
import { keyState, partHealth } from './part-state.ts';
import { retry } from '../retry.ts';
import { stopWithin } from './stop-steps.ts';

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
/** Longest attempt of an exclusive part: nothing works meanwhile. */
const EXCLUSIVE_START_MS = 30_000;
/** A component that does not even stop when its signal aborts is left behind after this time. */
const ABANDON_MS = 1000;

/** Keeps one part of a module at the newest settings that work. */
export class PartHost<S> {
  readonly #options: PartHostOptions<S>;
  readonly #schedules: PartSchedules;
  #target: Target<S> | undefined;
  #active: Running<S> | undefined;
  #candidate: Running<S> | undefined;
  #missing: string | undefined;
  /** What worked last, until something is missing. */
  #good: Target<S> | undefined;
  readonly #hurry = new AbortController();
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
    return partHealth(this.#state);
  }

  /** How far a setting has come into effect here. */
  keyState(key: keyof S & string): KeyState {
    return keyState(this.#state, key);
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#work.abort();
    const hurry = (): void => this.#hurry.abort();
    if (signal.aborted) hurry();
    else signal.addEventListener('abort', hurry, { once: true });
    await this.#queue;
    await this.#active?.component?.stop(signal);
  }

  get #state(): PartState<S> {
    return {
      missing: this.#missing,
      target: this.#target,
      active: this.#active,
      failure: this.#candidate?.error,
    };
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
      this.#options.log.info('a part waits for settings', { part: this.name, reason: this.#missing });
      this.#active = undefined;
      this.#good = undefined;
      await this.#release(active);
      this.#options.onChange();
      return;
    }
    const changed = active ? this.#changed(active.target, target) : [];
    const canKeep =
      changed.every((key) => isLive(key)) &&
      (changed.length === 0 || active?.component?.applyLive !== undefined);
    if (active && canKeep) {
      if (changed.length > 0) active.component?.applyLive?.(target.settings);
      active.target = target;
      if (active.isStarted) this.#good = target;
      this.#options.onChange();
      if (!active.isStarted) await this.#startUntilDone(active, signal);
    } else if (part.exclusive === true && this.#good) {
      await this.#replaceExclusive(this.#good, target, signal);
    } else if (!active?.isStarted) {
      // Nothing works yet that could be kept: the new one answers from now on.
      this.#active = { component: undefined, target, isStarted: false };
      await this.#release(active);
      await this.#startUntilDone(this.#active, signal);
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
      this.#good = running.target;
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

  async #replaceExclusive(good: Target<S>, target: Target<S>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (let failures = 1; ; failures += 1) {
      const holder = this.#active;
      this.#active = { component: undefined, target: good, isStarted: false };
      await this.#release(holder);
      const candidate: Running<S> = { component: undefined, target, isStarted: false };
      this.#candidate = candidate;
      try {
        await within(EXCLUSIVE_START_MS, signal, clock, (limit) => this.#start(candidate, limit));
        this.#active = candidate;
        this.#candidate = undefined;
        this.#options.onChange();
        return;
      } catch (error) {
        await this.#release(candidate);
        if (signal.aborted) throw error;
        candidate.error ??= 'it did not start in time';
        this.#options.log.warn('a part did not start; the last good settings come back', {
          part: this.name,
          error: candidate.error,
        });
        const restored: Running<S> = { component: undefined, target: good, isStarted: false };
        this.#active = restored;
        this.#options.onChange();
        await this.#restore(restored, signal);
        const waitMs = restored.isStarted ? this.#schedules.exclusive(failures) : 0;
        await sleep(waitMs, signal, clock);
      } finally {
        if (signal.aborted) this.#candidate = undefined;
      }
    }
  }

  /** Gives the last good settings some time; when they do not work either, the new ones are as good. */
  async #restore(holder: Running<S>, signal: AbortSignal): Promise<void> {
    try {
      await within(RESTORE_MS, signal, this.#options.clock, (limit) => this.#startUntilDone(holder, limit));
    } catch (error) {
      if (signal.aborted) throw error;
    }
  }

  /** Stops what is no longer used; that must not hold up what replaces it. */
  async #release(running: Running<S> | undefined): Promise<void> {
    const component = running?.component;
    if (!component) return;
    const { clock, drainMs, log } = this.#options;
    try {
      await within(drainMs, this.#hurry.signal, clock, (signal) =>
        stopWithin(component.stop(signal), signal, ABANDON_MS, clock),
      );
    } catch (error) {
      log.warn('stopping a replaced part failed', { part: this.name, error: errorText(error) });
    }
  }
}
