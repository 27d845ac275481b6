import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

import type { Events, UpstreamEvent } from '../hub/hub-api.ts';

/** Writes and waits when the reader is slow; a reader that has gone ends the waiting. */
async function write(response: ServerResponse, text: string): Promise<void> {
  if (response.destroyed || response.write(text)) return;
  await Promise.race([once(response, 'drain'), once(response, 'close')]);
}

export async function streamLines(lines: AsyncIterable<string>, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  for await (const line of lines) await write(response, `${line}\n`);
  response.end();
}

function lineOf(event: UpstreamEvent): string {
  return `${JSON.stringify({ ...event, body: event.body.toString('base64') })}\n`;
}

/**
 * NDJSON, one event per line, the body in base64. `since` is the first sequence number that is wanted; without it only what
 * comes from now on is. `follow=false` ends after what is kept.
 */
export async function streamEvents(
  events: Events,
  query: URLSearchParams,
  since: number | undefined,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const module = query.get('module');
  const wanted = (event: UpstreamEvent): boolean => module === null || event.moduleId === module;
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const waiting: UpstreamEvent[] = [];
  let wake: () => void = () => undefined;
  const stopListening = events.onEvent((event) => {
    if (!wanted(event)) return;
    waiting.push(event);
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    if (since !== undefined) waiting.push(...events.recent(since - 1).filter(wanted));
    for (;;) {
      for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
        await write(response, lineOf(event));
      }
      if (signal.aborted || query.get('follow') === 'false') break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || signal.aborted) resolve();
      });
    }
  } finally {
    stopListening();
  }
  response.end();
}
