export type {
  BlobContainerOptions,
  Block,
  CommitOptions,
  CopySource,
  ListedBlob,
  StoredBlob,
} from './blob-container.ts';
export { BlobContainer } from './blob-container.ts';
export type { ContainerPlace } from './blob-requests.ts';
export type { BlockOptions } from './blob-blocks.ts';
export { readBlocks } from './blob-blocks.ts';
export { ManagedIdentity } from './managed-identity.ts';
export type { BlobReason } from './blob-errors.ts';
export { BlobError } from './blob-errors.ts';
export type { BlobFacts, BlobPlace, BlobSourceOptions, RangeTask } from './blob-source.ts';
export { BlobSource, createRange } from './blob-source.ts';
export type { PatienceOptions, Waiting } from './patience.ts';
export { codeOf, Patience } from './patience.ts';
export type { StorageFields } from './storage-settings.ts';
export { parseBlobEndpoint, storageFields } from './storage-settings.ts';
export type { SasFacts } from './sas.ts';
export { parseSas, sasFacts } from './sas.ts';
