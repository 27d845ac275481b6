import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer as createTlsServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Certificates } from '../../local-edge/src/certificates.ts';
import type { TestAzurite } from './azurite.ts';

/** A token of the form that Azurite looks into. */
export function storageToken(): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: 'https://storage.azure.com',
    iss: 'https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/',
    ...{ iat: now, nbf: now - 60, exp: now + 3600 },
  };
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.${part({})}`;
}

export interface MetadataService {
  /** Of every request so far. */
  readonly queries: readonly URLSearchParams[];
  readonly address: string;
  stop(): void;
}

/** What a VM asks for the tokens of its identity. Without a token it answers that there is no such identity. */
export async function startMetadataService(token: () => string | undefined): Promise<MetadataService> {
  const queries: URLSearchParams[] = [];
  const server = createServer((incoming, reply) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://127.0.0.1');
    queries.push(searchParams);
    const given = token();
    const isRight = incoming.headers['metadata'] === 'true' && pathname === '/metadata/identity/oauth2/token';
    reply.writeHead(isRight && given !== undefined ? 200 : 400, { 'content-type': 'application/json' });
    const expiresOn = Math.floor(Date.now() / 1000) + 3600;
    reply.end(
      JSON.stringify(
        given === undefined
          ? { error: 'invalid_request', error_description: 'Identity not found' }
          : {
              ...{ access_token: given, token_type: 'Bearer', resource: searchParams.get('resource') },
              ...{ expires_in: '3600', expires_on: String(expiresOn) },
            },
      ),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    queries,
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => void server.close(),
  };
}

export interface TokenAuthority {
  readonly address: string;
  /** The forms that were sent for tokens. */
  readonly asked: readonly URLSearchParams[];
}

/** What a pod with workload identity takes its service account's token to. */
export async function startTokenAuthority(
  t: TestContext,
  { serverCertPem: cert, serverKeyPem: key }: Certificates,
  token: string,
): Promise<TokenAuthority> {
  const asked: URLSearchParams[] = [];
  let address = '';
  const server = createTlsServer({ cert, key }, (incoming, reply) => {
    const tenant = `${address}/${incoming.url?.split('/')[1] ?? ''}`;
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const isToken = incoming.method === 'POST';
      if (isToken) asked.push(new URLSearchParams(Buffer.concat(chunks).toString()));
      const answer = isToken
        ? { access_token: token, token_type: 'Bearer', expires_in: 3600 }
        : {
            issuer: tenant,
            authorization_endpoint: `${tenant}/oauth2/v2.0/authorize`,
            token_endpoint: `${tenant}/oauth2/v2.0/token`,
            jwks_uri: `${tenant}/keys`,
          };
      reply.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, asked };
}

export interface StorageFront {
  readonly endpoint: string;
  readonly seen: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
}

/**
 * Stands before an Azurite, tells what came, and does what that cannot: a block from a URL that a token opens. Every other request goes on
 * as it is.
 */
export async function startStorageFront(
  t: TestContext,
  azurite: TestAzurite,
  { serverCertPem: cert, serverKeyPem: key }: Certificates,
  token: string,
): Promise<StorageFront> {
  const seen: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createTlsServer({ cert, key }, (incoming, reply) => {
    const { url: path = '/', method, headers } = incoming;
    seen.push({ path, headers });
    if (headers['x-ms-copy-source-authorization'] === `Bearer ${token}`) {
      stageFromUrl(`https://127.0.0.1:${azurite.port}${path}`, headers).then(
        (status) => void reply.writeHead(status).end(),
        () => void reply.destroy(),
      );
      return;
    }
    const onward = request({ host: '127.0.0.1', port: azurite.port, method, path, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(reply);
    });
    onward.on('error', () => void reply.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { seen, endpoint: azurite.endpointAt((server.address() as AddressInfo).port) };
}

/** Reads the range of the source and puts it as a block, each by the token that is meant for it. */
async function stageFromUrl(target: string, headers: IncomingHttpHeaders): Promise<number> {
  const given = (name: string): string => String(headers[name]);
  const version = { 'x-ms-version': given('x-ms-version') };
  const source = await fetch(given('x-ms-copy-source'), {
    headers: {
      ...version,
      authorization: given('x-ms-copy-source-authorization'),
      'x-ms-range': given('x-ms-source-range'),
    },
  });
  if (!source.ok) return source.status;
  const { status } = await fetch(target, {
    method: 'PUT',
    headers: {
      ...version,
      authorization: given('authorization'),
      'x-ms-content-crc64': given('x-ms-source-content-crc64'),
    },
    body: await source.arrayBuffer(),
  });
  return status;
}
