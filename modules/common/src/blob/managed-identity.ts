import type * as AzureIdentity from '@azure/identity';
import type { AccessToken, ManagedIdentityCredential } from '@azure/identity';
import { systemClock } from '../clock.ts';
import { SuiteError } from '../errors.ts';
import { BlobError } from './blob-errors.ts';

export interface ManagedIdentityOptions {
  /** Client id of a user-assigned identity; without it the one of the machine or of the pod's service account. */
  readonly clientId: string | undefined;
  /** Name of the setting that asks for it, for texts. */
  readonly setting: string;
}

/** Audience of Azure Storage in every cloud. */
const SCOPE = 'https://storage.azure.com/.default';
/** Shorter than the stall time-out by default, so that it is told which of the two does not answer. */
const TOKEN_WAIT_MS = 15_000;
/** A token is replaced so long before its end; the SDK asks for a new one two minutes before it. */
const RENEW_MS = 5 * 60_000;

/**
 * Opens Blob Storage by the identity that Azure gives to a VM, an Arc machine or (workload identity) a pod of AKS; which of them it is
 * the SDK reads from the environment. Its package is in no image of the suite: an edge device has no use for it.
 */
export class ManagedIdentity {
  readonly #options: ManagedIdentityOptions;
  #credential: ManagedIdentityCredential | undefined;
  #token: AccessToken | undefined;
  #asking: Promise<AccessToken> | undefined;

  constructor(options: ManagedIdentityOptions) {
    this.#options = options;
  }

  /** What the storage SDK calls. Rejects with CONFIG_INVALID without the package, with IDENTITY_UNAVAILABLE without a token. */
  async getToken(): Promise<AccessToken> {
    const kept = this.#token;
    if (kept !== undefined && kept.expiresOnTimestamp - systemClock.now() > RENEW_MS) return kept;
    // Requests at the same time wait for one and the same token.
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return (this.#token = await this.#asking);
  }

  async #ask(): Promise<AccessToken> {
    const credential = (this.#credential ??= await this.#load());
    let cancel = (): void => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = systemClock.after(TOKEN_WAIT_MS, () => reject(unavailable(`not within ${TOKEN_WAIT_MS} ms`)));
    });
    try {
      return await Promise.race([credential.getToken(SCOPE), late]);
    } catch (error) {
      throw error instanceof SuiteError ? error : unavailable(reasonOf(error));
    } finally {
      cancel();
    }
  }

  async #load(): Promise<ManagedIdentityCredential> {
    const { clientId, setting } = this.#options;
    let identity: typeof AzureIdentity;
    try {
      identity = await import('@azure/identity');
    } catch (cause) {
      throw new SuiteError(
        'CONFIG_INVALID',
        `opening Blob Storage: ${setting} is managedIdentity, which needs the package @azure/identity, and this image does not have it: add it to the image as the module's README says, or set ${setting} to sas and a SAS`,
        { cause },
      );
    }
    return new identity.ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
  }
}

function unavailable(reason: string): BlobError {
  return new BlobError(
    'IDENTITY_UNAVAILABLE',
    `asking for a token of the managed identity: ${reason}; check that this machine or pod has an identity and reaches its endpoint, and managedIdentityClientId; trying again`,
  );
}

/** Its name and Entra's own number; the text may hold more of the answer than a log should. */
function reasonOf(error: unknown): string {
  const { name, message } = error instanceof Error ? error : new Error();
  return [name, /\bAADSTS\d+\b/.exec(message)?.[0]].filter((word) => word !== undefined).join(' ');
}
