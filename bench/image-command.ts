import { readFileSync } from 'node:fs';

/** How an image starts its module, read from the Dockerfile, so that a benchmark runs what users get. */
export interface ImageCommand {
  /** Flags of Node, before the program. */
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export function imageCommand(dockerfile: string): ImageCommand {
  const text = readFileSync(dockerfile, 'utf8');
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(text)?.[1] ?? '[]') as string[];
  const environment = /^ENV (NODE_ENV=.*)$/m.exec(text)?.[1] ?? '';
  if (command[0] !== 'node') throw new Error(`${dockerfile}: no CMD that starts node`);
  return {
    flags: command.slice(1, -1),
    environment: Object.fromEntries(
      environment
        .split(' ')
        .map((pair): [string, string] => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']),
    ),
  };
}
