import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAddress } from './net/address.ts';
import { writeFileAtomically } from './state-file.ts';

export interface IssuedCertificate {
  /** The leaf and the CA above it. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** ISO 8601 */
  readonly expiration: string;
}

export interface Certificates {
  readonly caPem: string;
  readonly caFile: string;
  readonly serverKeyPem: string;
  /** The server's certificate and the CA above it. */
  readonly serverCertPem: string;
  issue(request: {
    commonName: string;
    names: readonly string[];
    uris?: readonly string[];
    use: 'server' | 'client';
    expires: Date;
  }): Promise<IssuedCertificate>;
}

const day = 24 * 3600 * 1000;
const caDays = 3650;
/** macOS refuses server certificates that hold for longer than 825 days. */
const serverDays = 365;
/** Renewed this long before the end, at the next start. */
const marginDays = 7;

/**
 * A throw-away CA and a server certificate for loopback and `extraNames`, kept in `dir`. They stay the same across restarts, so that
 * clients need to be told once; they are renewed when they run out or when a name is missing.
 */
export async function createCertificates(
  dir: string,
  extraNames: readonly string[] = [],
  now: () => number = Date.now,
): Promise<Certificates> {
  const files = {
    ca: join(dir, 'ca.pem'),
    caKey: join(dir, 'ca-key.pem'),
    server: join(dir, 'server.pem'),
    serverKey: join(dir, 'server-key.pem'),
  };
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...extraNames])];
  const limit = now() + marginDays * day;
  let ca = readPair(files.ca, files.caKey);
  const caHolds = ca !== undefined && validAfter(ca.cert, limit);
  if (ca === undefined || !caHolds) {
    const { createCa } = await import('./certificate-authority.ts');
    ca = await createCa(new Date(now() - day), new Date(now() + caDays * day));
    writePair(files.ca, files.caKey, ca);
  }
  const authority = ca;
  const issue: Certificates['issue'] = async (request) => {
    const { issueCertificate } = await import('./certificate-authority.ts');
    const notBefore = new Date(now() - day);
    const expires = new Date(Math.min(request.expires.getTime(), now() + caDays * day));
    const leaf = await issueCertificate(authority, { ...request, notBefore, expires });
    return {
      certificatePem: `${leaf.cert}\n${authority.cert}\n`,
      privateKeyPem: leaf.key,
      expiration: expires.toISOString(),
    };
  };
  let server = readPair(files.server, files.serverKey);
  if (server === undefined || !caHolds || !validAfter(server.cert, limit) || !covers(server.cert, names)) {
    const expires = new Date(now() + serverDays * day);
    const fresh = await issue({ commonName: 'localhost', names, use: 'server', expires });
    server = { cert: fresh.certificatePem, key: fresh.privateKeyPem };
    writePair(files.server, files.serverKey, server);
  }
  return {
    caPem: authority.cert,
    caFile: files.ca,
    serverKeyPem: server.key,
    serverCertPem: server.cert,
    issue,
  };
}

interface PemPair {
  readonly cert: string;
  readonly key: string;
}

function readPair(certFile: string, keyFile: string): PemPair | undefined {
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

function writePair(certFile: string, keyFile: string, pair: PemPair): void {
  writeFileAtomically(keyFile, pair.key);
  writeFileAtomically(certFile, pair.cert);
}

function validAfter(pem: string, time: number): boolean {
  return Date.parse(new X509Certificate(pem).validTo) > time;
}

function covers(pem: string, names: readonly string[]): boolean {
  const certificate = new X509Certificate(pem);
  return names.every((name) =>
    isAddress(name) ? certificate.checkIP(name) !== undefined : certificate.checkHost(name) !== undefined,
  );
}
