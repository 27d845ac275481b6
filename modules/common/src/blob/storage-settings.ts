import { custom, FieldProblem, text } from '../settings/settings.ts';
import type { Field } from '../settings/settings.ts';
import { parseSas } from './sas.ts';

/** Base address of a blob service; a problem never repeats what was given, which may hold a SAS. */
export function parseBlobEndpoint(given: string): string {
  const url = URL.canParse(given.trim()) ? new URL(given.trim()) : undefined;
  const isHttp = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (
    url === undefined ||
    !isHttp ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username + url.password !== ''
  ) {
    throw new FieldProblem(
      'expected the address of the blob service without SAS, as in https://abc.blob.core.usgovcloudapi.net or http://azurite:10000/devstoreaccount1',
    );
  }
  return url.href.replace(/\/+$/, '');
}

export interface StorageDeclaration {
  /** Put before the names: `''` and `''` for STORAGE_ACCOUNT_NAME and storageAccountName. */
  readonly env: string;
  readonly twin: string;
  /** Goes on from "Storage account", "Container": `of the snapshots`. */
  readonly what: string;
  /** Goes on from "SAS": `of that container with the permissions read and list`. */
  readonly sas: string;
}

export interface StorageFields {
  readonly accountName: Field<string | undefined>;
  readonly endpoint: Field<string | undefined>;
  readonly containerName: Field<string | undefined>;
  readonly sasToken: Field<string | undefined>;
}

/** The four settings that name a container and open it. */
export function storageFields({ env, twin, what, sas }: StorageDeclaration): StorageFields {
  const name = (own: string): string =>
    twin === '' ? own : `${twin}${own[0]?.toUpperCase()}${own.slice(1)}`;
  return {
    accountName: text({
      env: `${env}STORAGE_ACCOUNT_NAME`,
      twin: name('storageAccountName'),
      pattern: /^[a-zA-Z0-9]{3,24}$/,
      form: 'a storage account name of 3 to 24 letters and digits',
      description: `Storage account ${what}, at \`https://NAME.blob.core.windows.net\`.`,
    }),
    endpoint: custom({
      env: `${env}BLOB_ENDPOINT`,
      twin: name('blobEndpoint'),
      type: 'an http:// or https:// address',
      description: `Address of the blob service instead of the public one of \`${name('storageAccountName')}\`: sovereign clouds, private endpoints, Azurite (there with the account as path).`,
      fromText: parseBlobEndpoint,
    }),
    containerName: text({
      env: `${env}BLOB_CONTAINER_NAME`,
      twin: name('blobContainerName'),
      pattern: /^(\$root|[a-z0-9](-?[a-z0-9]){2,62})$/,
      form: 'a container name of 3 to 63 lower-case letters, digits and single hyphens',
      description: `Container ${what}.`,
    }),
    sasToken: custom({
      env: `${env}BLOB_SAS_TOKEN`,
      twin: name('blobSasToken'),
      secret: true,
      live: true,
      type: 'a SAS token',
      description: `SAS ${sas}, with or without a leading \`?\`. A new one is used from the next request on, also in the middle of a run.`,
      fromText: parseSas,
    }),
  };
}
