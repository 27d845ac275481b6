import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { EdgeProcess } from './edge-process.ts';

/** Whether the Redis of a local edge answers PING, asked beside all modules. */
export function answersPing(edge: EdgeProcess): Promise<boolean> {
  const table = JSON.parse(readFileSync(join(edge.stateDir, 'net.json'), 'utf8')) as Record<string, number>;
  return new Promise((resolve) => {
    const socket = connect(table['redis:6379'] ?? 0, '127.0.0.1', () => socket.write('PING\r\n'));
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('data', (chunk) => answer(chunk.toString().startsWith('+PONG')));
    socket.once('error', () => answer(false));
    socket.once('close', () => answer(false));
  });
}
