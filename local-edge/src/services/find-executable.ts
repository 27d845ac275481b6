import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** The first of `names` that is an executable file in one of `folders`. */
export async function findExecutable(
  names: readonly string[],
  folders: readonly string[],
): Promise<{ name: string; path: string } | null> {
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name);
      const found = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return { name, path };
    }
  }
  return null;
}
