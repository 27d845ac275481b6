import { createServer } from 'node:net';
import { EdgeError } from '../errors.ts';

// Below the ports that Linux and macOS give to outgoing connections, so that none takes it while its server restarts.
const lowest = 20_000;
const highest = 32_000;

/** Whether a server could listen on this port of 127.0.0.1 now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A free loopback port for a server that takes its port by argument. `preferred` is answered when it is free. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await isFree(preferred))) return preferred;
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (await isFree(port)) return port;
  }
  throw new EdgeError('PORT_IN_USE', `No free port was found between ${lowest} and ${highest} on 127.0.0.1.`);
}
