import { imageDefaults } from '../local-edge/src/agent/image-defaults.ts';

/** How an image starts its module, read from the Dockerfile, so that a benchmark runs what users get. */
export interface ImageCommand {
  /** Flags of Node, before the program. */
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export function imageCommand(dockerfile: string): ImageCommand {
  const { command, env } = imageDefaults(dockerfile);
  if (command?.[0] !== 'node') throw new Error(`${dockerfile}: no CMD that starts node`);
  return { flags: command.slice(1, -1), environment: env };
}
