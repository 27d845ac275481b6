import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { TestContext } from 'node:test';

export interface HttpProxy {
  readonly url: string;
  /** What it was asked for: `GET http://host/path`, `CONNECT host:port`; without the query, which may hold a secret. */
  readonly asked: readonly string[];
}

/** A forward proxy on loopback. It passes plain requests on; a tunnel it notes and refuses, since there is nothing behind it. */
export async function startHttpProxy(t: TestContext): Promise<HttpProxy> {
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const target = incoming.url ?? '';
    asked.push(`${incoming.method ?? ''} ${target.split('?')[0] ?? ''}`);
    const onward = request(target, { method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.on('connect', ({ url = '' }, socket) => {
    asked.push(`CONNECT ${url}`);
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, asked };
}
