import { SuiteError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { SasFacts } from './sas.ts';

/** Why a blob could not be read or written; these words are what the operator sees in the twin. */
export type BlobReason =
  | 'SAS_EXPIRED'
  | 'SAS_NOT_YET_VALID'
  | 'SAS_PERMISSION'
  | 'SAS_REFUSED'
  | 'IDENTITY_UNAVAILABLE'
  | 'IDENTITY_REFUSED'
  | 'ACCOUNT_NOT_FOUND'
  | 'CONTAINER_NOT_FOUND'
  | 'BLOB_NOT_FOUND'
  | 'BLOB_CHANGED'
  | 'BLOB_CONFLICT'
  | 'BLOB_CORRUPT'
  | 'COPY_SOURCE_REFUSED'
  | 'REQUEST_INVALID'
  | 'STORAGE_BUSY'
  | 'STORAGE_ERROR'
  | 'NETWORK_STALLED'
  | 'NETWORK_ERROR';

export class BlobError extends SuiteError {
  readonly reason: BlobReason;
  /** Bytes came before it failed: the link works, and the next attempt need not wait long. */
  readonly hasProgress: boolean;
  /** `x-ms-error-code`, where the service sent one. */
  readonly serviceCode: string | undefined;

  constructor(
    reason: BlobReason,
    message: string,
    options: { readonly hasProgress?: boolean; readonly serviceCode?: string | undefined } = {},
  ) {
    const { code, retryable } = MEANING[reason];
    super(code, message, { retryable });
    this.name = 'BlobError';
    this.reason = reason;
    this.hasProgress = options.hasProgress ?? false;
    this.serviceCode = options.serviceCode;
  }
}

const MEANING: Readonly<Record<BlobReason, { code: ErrorCode; retryable: boolean }>> = {
  SAS_EXPIRED: { code: 'BLOB_REFUSED', retryable: false },
  // It becomes valid without anybody changing anything.
  SAS_NOT_YET_VALID: { code: 'BLOB_REFUSED', retryable: true },
  SAS_PERMISSION: { code: 'BLOB_REFUSED', retryable: false },
  SAS_REFUSED: { code: 'BLOB_REFUSED', retryable: false },
  // The endpoint of a machine's identity may start later than a module.
  IDENTITY_UNAVAILABLE: { code: 'BLOB_UNAVAILABLE', retryable: true },
  IDENTITY_REFUSED: { code: 'BLOB_REFUSED', retryable: false },
  // A gateway without network cannot look up names either.
  ACCOUNT_NOT_FOUND: { code: 'BLOB_UNAVAILABLE', retryable: true },
  CONTAINER_NOT_FOUND: { code: 'NOT_FOUND', retryable: false },
  BLOB_NOT_FOUND: { code: 'NOT_FOUND', retryable: false },
  BLOB_CHANGED: { code: 'CONFLICT', retryable: false },
  BLOB_CONFLICT: { code: 'CONFLICT', retryable: false },
  BLOB_CORRUPT: { code: 'DATA_INVALID', retryable: true },
  COPY_SOURCE_REFUSED: { code: 'BLOB_REFUSED', retryable: false },
  REQUEST_INVALID: { code: 'BLOB_REFUSED', retryable: false },
  STORAGE_BUSY: { code: 'BLOB_UNAVAILABLE', retryable: true },
  STORAGE_ERROR: { code: 'BLOB_UNAVAILABLE', retryable: true },
  NETWORK_STALLED: { code: 'BLOB_UNAVAILABLE', retryable: true },
  NETWORK_ERROR: { code: 'BLOB_UNAVAILABLE', retryable: true },
};

/** What an answer of the service, or the lack of one, says. */
export interface BlobFailure {
  readonly status: number | undefined;
  /** `x-ms-error-code`, or the code of a system error. */
  readonly code: string | undefined;
  /** The service's own clock: the one that its decision about a SAS was made by. */
  readonly serviceTime: number | undefined;
}

/** What a request needs, and which settings give it: for texts that say what to do. */
export interface BlobNeeds {
  /** Permissions of the SAS: `r` to read, `cw` to write, `l` to list, `d` to delete. */
  readonly permissions: string;
  readonly container: string;
  readonly sas: string;
}

export const READING: BlobNeeds = { permissions: 'r', container: 'blobContainerName', sas: 'blobSasToken' };

/** What a request was authorized by. */
export type Access = SasFacts | 'managedIdentity';

/** `doing` is a gerund with account, container and blob. The SDK's own error is not kept: it carries the URL with the SAS. */
export function blobError(
  doing: string,
  failure: BlobFailure,
  access: Access,
  needs: BlobNeeds = READING,
): BlobError {
  const [reason, text] = meaningOf(failure, access, needs);
  return new BlobError(reason, `${doing}: ${text}`, {
    serviceCode: failure.status === undefined ? undefined : failure.code,
  });
}

function meaningOf(
  { status, code, serviceTime }: BlobFailure,
  access: Access,
  needs: BlobNeeds,
): [BlobReason, string] {
  if (status === undefined) return networkMeaning(code);
  if (code === 'CannotVerifyCopySource') {
    return ['COPY_SOURCE_REFUSED', `the service cannot read the source of the copy (${status})`];
  }
  if (status === 401 || status === 403) {
    return access === 'managedIdentity' ? identityRefusal(code) : refusal(code, serviceTime, access, needs);
  }
  if (status === 404) {
    return code === 'ContainerNotFound' || code === 'ContainerBeingDeleted'
      ? ['CONTAINER_NOT_FOUND', `there is no such container; check ${needs.container}`]
      : ['BLOB_NOT_FOUND', 'there is no such blob; check blobFileName, and that the file is uploaded'];
  }
  if (status === 409) {
    return [
      'BLOB_CONFLICT',
      code === 'BlobArchived'
        ? 'the blob is in the archive tier; rehydrate it first'
        : `the blob cannot be used in its present state (${code ?? 'conflict'})`,
    ];
  }
  if (status === 412) return ['BLOB_CHANGED', 'the blob was replaced meanwhile'];
  if (status === 429 || status === 503) return ['STORAGE_BUSY', 'the storage account is busy; trying again'];
  if (status >= 500)
    return ['STORAGE_ERROR', `the service answered ${status}${code === undefined ? '' : ` ${code}`}`];
  return [
    'REQUEST_INVALID',
    `the service refuses the request (${status}${code === undefined ? '' : ` ${code}`})`,
  ];
}

function refusal(
  code: string | undefined,
  serviceTime: number | undefined,
  sas: SasFacts,
  needs: BlobNeeds,
): [BlobReason, string] {
  const now = serviceTime;
  if (now !== undefined && sas.expiresAt !== undefined && sas.expiresAt <= now) {
    return ['SAS_EXPIRED', `the SAS expired at ${iso(sas.expiresAt)}; set a new ${needs.sas}`];
  }
  if (now !== undefined && sas.startsAt !== undefined && sas.startsAt > now) {
    return ['SAS_NOT_YET_VALID', `the SAS is valid only from ${iso(sas.startsAt)}; waiting for that time`];
  }
  const { permissions } = sas;
  const lacksOne =
    permissions !== undefined &&
    Array.from(needs.permissions).some((letter) => !permissions.includes(letter));
  if (code === 'AuthorizationPermissionMismatch' || lacksOne) {
    return [
      'SAS_PERMISSION',
      `the SAS does not permit it (sp=${permissions ?? '?'}); it needs sp=${needs.permissions}`,
    ];
  }
  return [
    'SAS_REFUSED',
    `the service refuses the SAS (${code ?? 'no reason given'}): it is for another account, container or blob, its key was rotated, it is incomplete, or the account's network rules keep this device out`,
  ];
}

function identityRefusal(code: string | undefined): [BlobReason, string] {
  return [
    'IDENTITY_REFUSED',
    `the service refuses the managed identity (${code ?? 'no reason given'}): assign it the role Storage Blob Data Contributor on the container (it takes effect after some minutes), check which identity managedIdentityClientId names, and the account's network rules`,
  ];
}

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was lost',
  ETIMEDOUT: 'the connection attempt took too long',
};

function networkMeaning(code: string | undefined): [BlobReason, string] {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return [
      'ACCOUNT_NOT_FOUND',
      `the host name of the storage account cannot be looked up (${code}); check storageAccountName or blobEndpoint, and the network`,
    ];
  }
  const text = SYSTEM[code ?? ''] ?? 'the connection failed';
  return ['NETWORK_ERROR', code === undefined ? text : `${text} (${code})`];
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
