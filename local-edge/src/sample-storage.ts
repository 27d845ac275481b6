import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubCore } from './hub/hub.ts';
import { freePort } from './net/free-port.ts';
import { SITE_SNAPSHOT, openSampleSite } from './sample-site.ts';

/** The account and key that Azurite ships with; they are public and open nothing else. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const SYNC = 'redis-sync';
const SNAPSHOT = 'redis-snapshot';
const CONTAINER = 'sample';
/** Where snapshots go, and, in place of an account in another region, where copies go and the second site looks. */
const SNAPSHOTS = 'snapshots';
const COPIES = 'copies';
const BLOB = 'update.csv';
const CONTENT = 'key1:value1\nkey2:value2\nkey3:value3\n';
const START_MS = 30_000;
/** Azurite would outlive a local edge that is killed: the pipe to its standard input closes then, and ends it. */
const ENDS_WITH_PARENT = "data:text/javascript,process.stdin.resume().on('close',()=>process.exit())";
const SAS_DAYS = 30;
const VERSION = '2020-10-02';

export interface SampleStorage {
  /** True once the modules have been told where the sample is. */
  readonly ready: Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Gives redis-sync something to import, and redis-snapshot somewhere to export and copy to and a second site that imports from there,
 * where nobody has named a storage account: Azurite, in memory, on loopback. Undefined when the deployment has neither, when their storage is set, or when Azurite is not
 * installed.
 */
export function startSampleStorage(
  hub: HubCore,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): SampleStorage | undefined {
  const main = azuriteProgram();
  const isForSync = isWanted(hub, SYNC, CONTAINER);
  const isForSnapshot = isWanted(hub, SNAPSHOT, SNAPSHOTS);
  if (main === undefined || !(isForSync || isForSnapshot)) return undefined;
  const stopping = new AbortController();
  const state: { child?: ReturnType<typeof spawn> } = {};
  const run = async (): Promise<boolean> => {
    const port = await freePort();
    if (stopping.signal.aborted) return false;
    const child = spawn(
      process.execPath,
      [
        '--import',
        ENDS_WITH_PARENT,
        main,
        '--blobHost',
        '127.0.0.1',
        '--blobPort',
        String(port),
        '--inMemoryPersistence',
      ].concat(['--silent', '--disableTelemetry', '--skipApiVersionCheck']),
      { stdio: ['pipe', 'ignore', 'ignore'] },
    );
    state.child = child;
    const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
    await fill(endpoint, stopping.signal);
    if (isForSync) {
      tell(hub, SYNC, {
        blobEndpoint: endpoint,
        blobContainerName: CONTAINER,
        blobFileName: BLOB,
        blobSasToken: accountSas('r', 'o'),
      });
      say(`sample: ${SYNC} imports ${CONTAINER}/${BLOB} from an embedded Azurite at ${endpoint}`);
    }
    if (isForSnapshot) {
      tell(hub, SNAPSHOT, {
        blobEndpoint: endpoint,
        blobContainerName: SNAPSHOTS,
        blobSasToken: containerSas(SNAPSHOTS, 'rcwdl'),
        copyBlobEndpoint: endpoint,
        copyBlobContainerName: COPIES,
        copyBlobSasToken: containerSas(COPIES, 'rcwl'),
      });
      say(`sample: ${SNAPSHOT} exports to ${SNAPSHOTS} and copies to ${COPIES} there`);
      const copies = { blobEndpoint: endpoint, blobContainerName: COPIES };
      if (openSampleSite(hub, env, { ...copies, blobSasToken: containerSas(COPIES, 'rcwdl') }))
        say(`sample: ${SITE_SNAPSHOT} imports from ${COPIES} into a second Redis`);
    }
    return true;
  };
  const ready = run().catch((error: unknown) => {
    if (!stopping.signal.aborted)
      say(`sample: no embedded Azurite: ${error instanceof Error ? error.message : 'failed'}`);
    return false;
  });
  return {
    ready,
    async stop() {
      stopping.abort();
      await ready;
      const { child } = state;
      if (child?.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function azuriteProgram(): string | undefined {
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve('azurite/package.json')), 'dist/src/blob/main.js');
  } catch {
    return undefined;
  }
}

function tell(hub: HubCore, module: string, desired: Record<string, string>): void {
  const told = hub.twins.patchDesired(module, { desired });
  if (!told.ok) throw new Error(told.problem);
}

/** The sample of an earlier start counts as none: its Azurite is gone. */
function isWanted(hub: HubCore, module: string, container: string): boolean {
  const twin = hub.twins.get(module);
  if (twin === undefined) return false;
  const { storageAccountName, blobEndpoint, blobContainerName } = twin.desired.properties;
  if (storageAccountName !== undefined) return false;
  if (typeof blobEndpoint !== 'string') return true;
  return blobEndpoint.endsWith(`/${ACCOUNT}`) && blobContainerName === container;
}

async function fill(endpoint: string, signal: AbortSignal): Promise<void> {
  const sas = accountSas('rwc', 'co');
  const put = async (path: string, headers: Record<string, string>, body?: string): Promise<void> => {
    const answer = await fetch(`${endpoint}/${path}${path.includes('?') ? '&' : '?'}${sas}`, {
      method: 'PUT',
      headers,
      signal,
      ...(body === undefined ? {} : { body }),
    });
    if (!answer.ok)
      throw new Error(`Azurite answers ${answer.status} ${answer.headers.get('x-ms-error-code') ?? ''}`);
  };
  for (const until = Date.now() + START_MS; ;) {
    try {
      await put(`${CONTAINER}?restype=container`, {});
      break;
    } catch (error) {
      if (signal.aborted || Date.now() > until) throw error;
      await sleep(100, undefined, { signal });
    }
  }
  for (const name of [SNAPSHOTS, COPIES]) await put(`${name}?restype=container`, {});
  await put(`${CONTAINER}/${BLOB}`, { 'x-ms-blob-type': 'BlockBlob', 'content-type': 'text/csv' }, CONTENT);
}

/** A SAS of one container: Azurite answers 500 where an account SAS would have a block fetched from a URL. */
function containerSas(container: string, permissions: string): string {
  const expiry = expiresAt();
  const resource = `/blob/${ACCOUNT}/${container}`;
  const signed = [
    permissions,
    '',
    expiry,
    resource,
    '',
    '',
    '',
    VERSION,
    'c',
    ...Array<string>(6).fill(''),
  ].join('\n');
  return new URLSearchParams({
    sv: VERSION,
    sr: 'c',
    sp: permissions,
    se: expiry,
    sig: sign(signed),
  }).toString();
}

/** An account SAS as the service defines it: the signed fields, one per line, in a fixed order. */
function accountSas(permissions: string, resources: string): string {
  const expiry = expiresAt();
  const signed = [ACCOUNT, permissions, 'b', resources, '', expiry, '', '', VERSION, ''].join('\n');
  return new URLSearchParams({
    sv: VERSION,
    ss: 'b',
    srt: resources,
    sp: permissions,
    se: expiry,
    sig: sign(signed),
  }).toString();
}

function expiresAt(): string {
  return new Date(Date.now() + SAS_DAYS * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z');
}

function sign(text: string): string {
  return createHmac('sha256', Buffer.from(KEY, 'base64')).update(text, 'utf8').digest('base64');
}
