import { chmodSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';

import { EdgeError } from '../errors.ts';
import type { Hub } from '../hub/hub-api.ts';
import type { AgentControl, RuntimeControl } from './control-api.ts';
import { serveControl } from './control-routes.ts';

export interface ControlServerOptions {
  /** Path of the Unix socket; what is left there of an earlier run is removed. */
  readonly path: string;
  readonly hub: Hub;
  readonly agent: AgentControl;
  readonly runtime: RuntimeControl;
}

export interface ControlServer {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What only somebody on this machine, as this user, may ask: HTTP over a Unix socket with mode 0600. */
export function createControlServer(options: ControlServerOptions): ControlServer {
  const stopped = new AbortController();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // The end of the server or of the caller's connection ends streams.
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, stopped.signal]);
    try {
      await serveControl(options, request, response, signal);
    } catch (error) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const known = error instanceof EdgeError ? error : undefined;
      const status = known === undefined ? 500 : known.code === 'NOT_FOUND' ? 404 : 400;
      const message = error instanceof Error ? error.message : String(error);
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ code: known?.code ?? 'INTERNAL', message }));
    }
  };
  const server = createServer((request, response) => {
    // Fails only when the caller has gone, whom nothing can be told any more.
    answer(request, response).catch(() => response.destroy());
  });
  return {
    start: () =>
      new Promise((resolve, reject) => {
        rmSync(options.path, { force: true });
        server.once('error', reject);
        server.listen(options.path, () => {
          server.off('error', reject);
          chmodSync(options.path, 0o600);
          resolve();
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        stopped.abort();
        if (!server.listening) {
          resolve();
          return;
        }
        server.close(() => resolve());
        server.closeIdleConnections();
        setImmediate(() => server.closeAllConnections());
      }),
  };
}
