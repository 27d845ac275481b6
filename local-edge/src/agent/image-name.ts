import type { ServiceName } from '../services/catalogue.ts';

/** The repository of an image, without tag and digest; Docker Hub's own names in their short form. */
export function repositoryOf(image: string): string {
  const withoutDigest = image.split('@')[0] ?? image;
  const slash = withoutDigest.lastIndexOf('/');
  const colon = withoutDigest.lastIndexOf(':');
  const repository = colon > slash ? withoutDigest.slice(0, colon) : withoutDigest;
  return repository.replace(/^(?:docker\.io|index\.docker\.io)\//, '').replace(/^library\//, '');
}

/** Tag of an image, or the empty text. */
export function tagOf(image: string): string {
  const name = image.split('@')[0] ?? image;
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(colon + 1) : '';
}

const wellKnown: ReadonlyMap<string, ServiceName> = new Map<string, ServiceName>([
  ['redis', 'redis'],
  ['valkey/valkey', 'valkey'],
  ['eclipse-mosquitto', 'mosquitto'],
]);

/** The server that a well-known image runs; undefined for any other image. */
export function wellKnownService(image: string): ServiceName | undefined {
  return wellKnown.get(repositoryOf(image));
}

export const wellKnownImages: readonly string[] = [...wellKnown.keys()];
