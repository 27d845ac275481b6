import { EdgeError } from '../errors.ts';
import { isRecord } from '../manifest/record.ts';
import { EngineError } from './engine-client.ts';
import type { EngineClient } from './engine-client.ts';

/** A registry that says nothing for so long is given up; the module is tried again by its restart policy. */
const pullSilenceMs = 120_000;

/** Sees to it that an image is there, and pulls it when it is not. `mayPull` is imagePullPolicy: on-create or never. */
export async function ensureImage(client: EngineClient, image: string, mayPull: boolean): Promise<void> {
  try {
    await client.call('GET', `/images/${encodeURI(image)}/json`);
    return;
  } catch (error) {
    if (!(error instanceof EngineError) || error.status !== 404) throw error;
  }
  if (!mayPull)
    throw new EdgeError('NOT_FOUND', `The image ${image} is not here, and imagePullPolicy is never.`);
  try {
    await pull(client, image);
  } catch (error) {
    throw new EdgeError(
      'NOT_FOUND',
      `The image ${image} is not here and pulling it failed: ${error instanceof Error ? error.message : String(error)}. ` +
        'Build it (npm run images), or fetch it by hand (docker pull) when its registry wants a login.',
      { cause: error },
    );
  }
}

async function pull(client: EngineClient, image: string): Promise<void> {
  const { name, tag } = splitImage(image);
  const query = { fromImage: name, tag };
  const progress = await client.open('POST', '/images/create', { query, silenceMs: pullSilenceMs });
  let rest = '';
  let failure: string | undefined;
  for await (const chunk of progress.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) failure ??= failureIn(line);
  }
  failure ??= failureIn(rest);
  // The status was 200 before the registry was asked.
  if (failure !== undefined) throw new EngineError(500, failure);
}

function failureIn(line: string): string | undefined {
  if (line.trim() === '') return undefined;
  const value: unknown = JSON.parse(line);
  const error = isRecord(value) ? value['error'] : undefined;
  return typeof error === 'string' ? error : undefined;
}

/** Name and tag as the engine takes them; without a tag it would pull all that there are. A digest counts more than a tag. */
export function splitImage(image: string): { readonly name: string; readonly tag: string } {
  const [reference = '', digest] = image.split('@');
  const colon = reference.lastIndexOf(':');
  const hasTag = colon > reference.lastIndexOf('/');
  const name = hasTag ? reference.slice(0, colon) : reference;
  return { name, tag: digest ?? (hasTag ? reference.slice(colon + 1) : 'latest') };
}
