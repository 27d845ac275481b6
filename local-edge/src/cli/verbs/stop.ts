import { setTimeout as delay } from 'node:timers/promises';

import { EdgeError } from '../../errors.ts';
import { isAlive } from '../state.ts';
import type { VerbContext } from '../verb.ts';

/** Modules get their time to end; this is longer than all of it. */
const LONGEST_STOP_MS = 60_000;

export async function stopEdge(context: VerbContext): Promise<void> {
  const { hub, io } = context;
  const control = await context.control();
  await control.call('POST', '/stop');
  const deadline = Date.now() + LONGEST_STOP_MS;
  while (isAlive(hub.pid)) {
    if (Date.now() > deadline) {
      throw new EdgeError(
        'REFUSED',
        `the local edge (process ${hub.pid}) was asked to stop but still runs; end it by hand`,
      );
    }
    await delay(50);
  }
  io.stdout('The local edge has stopped.\n');
}
