import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { errorText, SuiteError } from '../errors.ts';
import type { AzureSettings } from './azure-settings.ts';
import type { WorkloadApi } from './azure-workload.ts';
import { createWorkloadApi } from './azure-workload.ts';

/** What one connection needs; it is used up by that connection, the next one gets its own. */
export interface Credentials {
  readonly token: string;
  /** PEM that replaces the default certificate authorities; undefined leaves them. */
  readonly ca: string | undefined;
}

export interface CredentialOptions {
  readonly clock: Clock;
  readonly lifetimeMs: number;
  readonly timeoutMs: number;
}

/** Makes a token and fetches the trust anchors anew, since the device's certificates are renewed while modules run. */
export type IssueCredentials = (signal: AbortSignal) => Promise<Credentials>;

export function createCredentialIssuer(
  settings: AzureSettings,
  options: CredentialOptions,
): IssueCredentials {
  const { auth } = settings;
  const workload: WorkloadApi | undefined =
    auth.kind === 'workload'
      ? createWorkloadApi({
          ...auth,
          moduleId: settings.moduleId,
          timeoutMs: options.timeoutMs,
          clock: options.clock,
        })
      : undefined;

  return async (signal) => {
    const expiry = Math.floor((options.clock.now() + options.lifetimeMs) / 1000);
    const resource = encodeStrict(
      `${settings.hubHostName}/devices/${settings.deviceId}/modules/${settings.moduleId}`,
    );
    const text = `${resource}\n${expiry}`;
    if (workload !== undefined) {
      const [ca, digest] = await Promise.all([workload.trustBundle(signal), workload.sign(text, signal)]);
      return { token: sharedAccessSignature(resource, digest, expiry, undefined), ca };
    }
    if (auth.kind !== 'key') throw new SuiteError('INTERNAL', 'making a token: no key and no workload API');
    const digest = createHmac('sha256', Buffer.from(auth.key, 'base64')).update(text).digest();
    return {
      token: sharedAccessSignature(resource, digest, expiry, auth.keyName),
      ca: auth.caFile === undefined ? undefined : await readCa(auth.caFile, signal),
    };
  };
}

async function readCa(file: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(file, { encoding: 'utf8', signal });
  } catch (error) {
    throw new SuiteError(
      'EDGE_UNAVAILABLE',
      `reading the file that EdgeModuleCACertificateFile names: ${errorText(error)}`,
      { cause: error, retryable: true },
    );
  }
}

/** Letter for letter as the SDK does, since the signature is made over the encoded text. */
function encodeStrict(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}

function sharedAccessSignature(
  resource: string,
  digest: Buffer,
  expiry: number,
  keyName: string | undefined,
): string {
  const signature = encodeStrict(digest.toString('base64'));
  const name = keyName === undefined ? '' : `&skn=${encodeStrict(keyName)}`;
  return `SharedAccessSignature sr=${resource}&sig=${signature}${name}&se=${expiry}`;
}
