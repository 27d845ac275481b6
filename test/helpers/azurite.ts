import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  BlobSASPermissions,
  BlobServiceClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} from '@azure/storage-blob';
import type { BlockBlobUploadOptions } from '@azure/storage-blob';
import type { TestContext } from 'node:test';
import { onExit } from './cleanup.ts';
import { freePort } from './redis.ts';

/** The account and key that Azurite ships with; they are public and open nothing else. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

export interface SasOptions {
  readonly container?: string;
  /** A container SAS when left out. */
  readonly blob?: string;
  readonly permissions?: string;
  readonly startsOn?: Date;
  readonly expiresOn?: Date;
}

export interface TestAzurite {
  readonly port: number;
  /** Name of the container that blobs are in. */
  readonly container: string;
  readonly pid: number;
  /** Address of the blob service with the account. */
  readonly endpoint: string;
  /** The same account behind another port, such as a proxy's. */
  endpointAt(port: number): string;
  upload(blob: string, content: Buffer | string, options?: BlockBlobUploadOptions): Promise<string>;
  remove(blob: string): Promise<void>;
  download(blob: string): Promise<Buffer>;
  /** Names of all blobs that are there, committed ones only. */
  names(): Promise<readonly string[]>;
  /** A new container of this name, with all of the above at work in it. */
  createContainer(name: string): Promise<TestAzurite>;
  sas(options?: SasOptions): string;
  stop(): Promise<void>;
}

export const CONTAINER = 'redis';

/** With TLS it also takes bearer tokens, whose signature it does not check; the caller has to trust the certificate. */
export interface AzuriteTls {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A real Azurite of the caller's own, in memory, on loopback, with one empty container. */
export async function startAzurite(t?: TestContext, tls?: AzuriteTls): Promise<TestAzurite> {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/azurite/dist/src/blob/main.js'),
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...(tls === undefined ? [] : ['--oauth', 'basic', '--cert', tls.certFile, '--key', tls.keyFile]),
      ...['--inMemoryPersistence', '--silent', '--disableTelemetry', '--skipApiVersionCheck'],
    ],
    { stdio: 'ignore' },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  onExit(() => child.kill('SIGKILL'));
  t?.after(stop);
  const credential = new StorageSharedKeyCredential(ACCOUNT, KEY);
  const endpointAt = (at: number): string =>
    `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${at}/${ACCOUNT}`;
  const service = new BlobServiceClient(endpointAt(port), credential, {
    retryOptions: { maxTries: 4, retryDelayInMs: 200 },
  });
  const view = (name: string): TestAzurite => {
    const container = service.getContainerClient(name);
    return {
      port,
      container: name,
      pid: child.pid ?? 0,
      endpoint: endpointAt(port),
      endpointAt,
      async createContainer(other) {
        await service.getContainerClient(other).create();
        return view(other);
      },
      async upload(blob, content, options) {
        const bytes = Buffer.from(content);
        const { etag } = await container.getBlockBlobClient(blob).upload(bytes, bytes.length, options);
        return etag ?? '';
      },
      async remove(blob) {
        await container.getBlockBlobClient(blob).delete();
      },
      download: (blob) => container.getBlobClient(blob).downloadToBuffer(),
      async names() {
        const found: string[] = [];
        for await (const blob of container.listBlobsFlat()) found.push(blob.name);
        return found;
      },
      sas({ container: containerName = name, blob, permissions = 'r', startsOn, expiresOn } = {}) {
        return generateBlobSASQueryParameters(
          {
            containerName,
            ...(blob === undefined ? {} : { blobName: blob }),
            permissions:
              blob === undefined
                ? ContainerSASPermissions.parse(permissions)
                : BlobSASPermissions.parse(permissions),
            ...(startsOn === undefined ? {} : { startsOn }),
            expiresOn: expiresOn ?? new Date(Date.now() + 3_600_000),
          },
          credential,
        ).toString();
      },
      stop,
    };
  };
  await untilThere(child, () => service.getContainerClient(CONTAINER).create());
  return view(CONTAINER);
}

async function untilThere(child: ChildProcess, attempt: () => Promise<unknown>): Promise<void> {
  for (const deadline = Date.now() + 90_000; ;) {
    try {
      await attempt();
      return;
    } catch (cause) {
      if (child.exitCode !== null) throw new Error(`Azurite ended with ${child.exitCode}`, { cause });
      if (Date.now() > deadline) throw new Error('Azurite does not answer', { cause });
      await sleep(50);
    }
  }
}
