import type { Clock } from '../clock.ts';
import type { DesiredDocument, JsonObject } from '../edge/edge.ts';
import type { Mistake } from '../errors.ts';
import { ConfigError } from '../errors.ts';
import type { Fields, SettingsOf } from './settings.ts';
import type { Check, Sources } from './settings-parse.ts';
import { parseSettings } from './settings-parse.ts';

/** The settings in force, and the hub's newest word on them. */
export interface DesiredSettings<F extends Fields> {
  readonly settings: SettingsOf<F>;
  /** Desired properties that the settings were made with; empty without any. */
  readonly accepted: JsonObject;
  readonly acceptedVersion: number | undefined;
  /** The newest document of the hub with what is wrong with it; undefined before the first one. */
  readonly newest: { readonly document: DesiredDocument; readonly mistakes: readonly Mistake[] } | undefined;
  receive(document: DesiredDocument): void;
  stop(): void;
}

export interface DesiredSettingsOptions<F extends Fields> {
  readonly fields: F;
  readonly sources: Sources;
  readonly check?: Check<F> | undefined;
  /** Kept from an earlier run; left aside when it is no longer valid. */
  readonly stored?: DesiredDocument | undefined;
  readonly clock: Clock;
  /** Patches that come within this time are looked at once. */
  readonly gatherMs?: number;
  readonly onStoredInvalid: (error: ConfigError) => void;
  readonly onAccepted: (document: DesiredDocument) => void;
  readonly onRefused: (document: DesiredDocument, error: ConfigError) => void;
}

/** Throws a ConfigError when the host's own settings are wrong: there is nothing to fall back to. */
export function createDesiredSettings<F extends Fields>(
  options: DesiredSettingsOptions<F>,
): DesiredSettings<F> {
  const { fields, sources, check, clock, gatherMs = 250 } = options;
  const parse = (desired: JsonObject): SettingsOf<F> =>
    parseSettings(fields, { ...sources, desired }, check).settings;

  let settings = parse({});
  let accepted: JsonObject = {};
  let acceptedVersion: number | undefined;
  let newest: DesiredSettings<F>['newest'];
  let waiting: DesiredDocument | undefined;
  let cancel: (() => void) | undefined;

  /** The ConfigError, when it is one: anything else is our own fault and thrown on. */
  const take = (document: DesiredDocument): ConfigError | undefined => {
    try {
      settings = parse(document.properties);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    accepted = document.properties;
    acceptedVersion = document.version;
    return undefined;
  };

  if (options.stored) {
    const problem = take(options.stored);
    if (problem) options.onStoredInvalid(problem);
  }

  const consider = (): void => {
    cancel = undefined;
    const document = waiting;
    if (!document) return;
    waiting = undefined;
    const problem = take(document);
    newest = { document, mistakes: problem?.mistakes ?? [] };
    if (problem) options.onRefused(document, problem);
    else options.onAccepted(document);
  };

  return {
    get settings() {
      return settings;
    },
    get accepted() {
      return accepted;
    },
    get acceptedVersion() {
      return acceptedVersion;
    },
    get newest() {
      return newest;
    },
    receive(document) {
      waiting = document;
      cancel ??= clock.after(gatherMs, consider);
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
  };
}
