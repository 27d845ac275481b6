import { EdgeError } from '../../errors.ts';
import type { UpstreamEvent } from '../../hub/hub-api.ts';
import { eventView } from '../event-view.ts';
import type { EventKind } from '../event-view.ts';
import type { VerbContext } from '../verb.ts';

const KINDS = ['sys', 'app', 'anno', 'all'] as const;

function kindsOf(given: readonly string[]): Set<EventKind> {
  const kinds = new Set<EventKind>();
  for (const word of given) {
    const kind = KINDS.find((known) => known === word);
    if (kind === undefined)
      throw new EdgeError('USAGE', `--properties takes ${KINDS.join(', ')}, not ${word}`);
    if (kind === 'all') for (const each of ['sys', 'app', 'anno'] as const) kinds.add(each);
    else kinds.add(kind);
  }
  return kinds;
}

/** A signal that aborts with the command, and after a time without a call of `again`. */
function silenceSignal(
  outer: AbortSignal,
  seconds: number,
): { signal: AbortSignal; again: () => void; end: () => void } {
  const silence = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const again = (): void => {
    clearTimeout(timer);
    if (seconds > 0) timer = setTimeout(() => silence.abort(), seconds * 1000);
  };
  again();
  return {
    signal: AbortSignal.any([outer, silence.signal]),
    again,
    end: () => {
      clearTimeout(timer);
      silence.abort();
    },
  };
}

/** Prints events as az does, until the count, the silence or Ctrl-C ends it. */
export async function monitorEvents(context: VerbContext): Promise<void> {
  const { args, io, hub } = context;
  const kinds = kindsOf(args.texts('--properties'));
  const count = args.number('--message-count');
  const module = args.text('--module-id');
  const device = args.text('--device-id') ?? hub.deviceId;
  if (device !== hub.deviceId) {
    throw new EdgeError('NOT_FOUND', `there is no device ${device}; the local edge has ${hub.deviceId}`);
  }
  const control = await context.control();
  const { signal, again, end } = silenceSignal(io.signal, args.number('--timeout') ?? 300);
  let printed = 0;
  try {
    const query = module === undefined ? '' : `?${new URLSearchParams({ module }).toString()}`;
    const lines = await control.lines(`/events${query}`, signal);
    // Said when the stream is open: whatever is sent from now on will be seen.
    io.stderr(`Starting event monitor, filtering on device: ${device}, use ctrl-c to stop...\n`);
    for await (const line of lines) {
      again();
      const event = JSON.parse(line) as Omit<UpstreamEvent, 'body'> & { readonly body: string };
      const body = Buffer.from(event.body, 'base64');
      const { view, warning } = eventView({ ...event, body }, kinds, args.text('--content-type'));
      if (warning !== undefined) io.stderr(`edge: ${warning}\n`);
      context.json(view);
      printed += 1;
      if (count !== undefined && printed >= count) return;
    }
  } finally {
    end();
  }
}
