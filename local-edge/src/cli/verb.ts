import type { Args, Flag } from './args.ts';
import type { CliIo } from './cli-io.ts';
import type { ControlClient } from './control-client.ts';
import type { ServiceClient } from './service-client.ts';
import type { HubFacts } from '../hub-facts.ts';

/** What a verb works with; the clients are made when they are asked for. */
export interface VerbContext {
  readonly io: CliIo;
  readonly args: Args;
  readonly hub: HubFacts;
  readonly stateDir: string;
  service(): Promise<ServiceClient>;
  control(): Promise<ControlClient>;
  /** Prints a value the way az does. */
  json(value: unknown): void;
}

/** Resolves when it is done, with the exit code when that is another one's; rejects with EdgeError when it cannot be. */
export type VerbAction = (context: VerbContext) => Promise<void> | Promise<number>;

export interface Verb {
  /** `module-twin show`: one or two words. */
  readonly name: string;
  readonly summary: string;
  /** Names of the words that follow, `NAME`; optional ones in brackets, repeated ones with dots. */
  readonly words?: readonly string[];
  readonly flags: readonly Flag[];
  /** From the second word on everything is a word: the flags of another command. */
  readonly takesCommand?: boolean;
  /** More for the help: an example, what the output means. */
  readonly notes?: string;
  /** Loads the verb only when it is used, so that the command starts fast. */
  readonly load: () => Promise<VerbAction>;
}
