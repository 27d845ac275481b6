import { importFile } from './import-bed.ts';
import type { ImportFileOptions } from './import-bed.ts';

/** A process that imports a file and can be killed: `PORT FILE POLICY STAGING`. Says on standard output how it goes. */
const [port, file, policy, staging] = process.argv.slice(2);
const options: ImportFileOptions = {
  ...(policy === 'replace' || policy === 'exact' || policy === 'skip' ? { policy } : {}),
  ...(staging === 'always' || staging === 'never' ? { staging } : {}),
  onProgress: ({ phase }) => {
    if (phase === 'data') process.stdout.write('restoring\n');
  },
};
process.stdout.write(`done ${JSON.stringify(await importFile(Number(port), file ?? '', options))}\n`);
