import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredDocument, JsonValue } from '../edge/edge.ts';
import { errorText } from '../errors.ts';
import type { Log } from '../log.ts';
import { isObject } from '../merge-patch.ts';
import { replaceUserinfo } from '../redact.ts';
import type { Fields } from './settings.ts';

/** Keeps the last accepted desired document, so that a module started again without edgeHub works as it did before. */
export interface DesiredStore {
  load(): Promise<DesiredDocument | undefined>;
  /** Never rejects: a full disk must not end a working module. */
  save(document: DesiredDocument): Promise<void>;
  /** Resolves when everything is written. */
  idle(): Promise<void>;
}

const FORMAT = 1;

/** Credentials inside of an address stay out as well; the address itself is what the module needs. */
function withoutSecrets(value: JsonValue): JsonValue {
  if (typeof value === 'string') return replaceUserinfo(value, '');
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]));
}

function readDocument(text: string): DesiredDocument | undefined {
  const stored = JSON.parse(text) as JsonValue;
  if (!isObject(stored) || stored['format'] !== FORMAT) return undefined;
  const { version, properties } = stored;
  return typeof version === 'number' && isObject(properties) ? { version, properties } : undefined;
}

/** The file carries the name of the instance, since several may share one volume. */
export function createDesiredStore(folder: string, instance: string, fields: Fields, log: Log): DesiredStore {
  const path = join(folder, `desired-${instance.replace(/[^\w.-]/g, '_')}.json`);
  const secrets = new Set(
    Object.values(fields).flatMap((field) => (field.secret && field.twin !== null ? [field.twin] : [])),
  );
  let saving = Promise.resolve();

  const write = async (document: DesiredDocument): Promise<void> => {
    const kept = Object.entries(document.properties).filter(([name]) => !secrets.has(name));
    const properties = Object.fromEntries(kept.map(([name, value]) => [name, withoutSecrets(value)]));
    const text = JSON.stringify({ format: FORMAT, version: document.version, properties });
    const draft = `${path}.new`;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await rm(draft, { force: true });
      const file = await open(draft, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      log.warn('the accepted desired properties could not be kept in STATE_DIR', {
        path,
        error: errorText(error),
      });
    }
  };

  return {
    async load() {
      try {
        const found = readDocument(await readFile(path, 'utf8'));
        if (!found) log.warn('the kept desired properties are of an unknown form and not used', { path });
        return found;
      } catch (error) {
        const isFirstStart = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!isFirstStart)
          log.warn('the kept desired properties cannot be read', { path, error: errorText(error) });
        return undefined;
      }
    },
    save(document) {
      saving = saving.then(() => write(document));
      return saving;
    },
    idle: () => saving,
  };
}
