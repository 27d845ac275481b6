import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { Fields } from '../settings/settings.ts';

const PATIENCE_MS = 5000;
const POLL_MS = 50;

/**
 * Waits for the files that `<NAME>_FILE` of the secrets name, 5 s at most: the container beside this one that makes them may be
 * starting at the same time. What is missing after that is told with the other mistakes of the settings.
 */
export async function awaitSecretFiles(
  fields: Fields,
  environment: Readonly<Record<string, string | undefined>>,
  { exists, clock }: { readonly exists: (path: string) => boolean; readonly clock: Clock },
): Promise<void> {
  const secrets = Object.values(fields).filter((field) => field.secret);
  const paths = secrets
    .flatMap((field) => field.env.map((name) => environment[`${name}_FILE`]))
    .filter((path): path is string => path !== undefined && path !== '');
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
    if (paths.every((path) => exists(path))) return;
    await sleep(POLL_MS, undefined, clock);
  }
}
