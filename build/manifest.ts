/**
 * `npm run manifest -- [--platform P] [--debug] [--env FILE] [--modules A,B] [--check]`: makes config/deployment.<platform>.json of the
 * template. Exit code: 0 written (or, with --check, nothing found), 1 something was found and nothing is written, 2 a wrong call.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EdgeError } from '../local-edge/src/errors.ts';
import { describeFindings } from '../local-edge/src/manifest/finding.ts';
import { generateManifest } from './manifest/generate.ts';

const usage = `Usage: npm run manifest -- [options]

  --platform PLATFORM   amd64, arm64v8 or arm32v7; DEFAULT_PLATFORM of .env, else that of this machine
  --debug               deployment.debug.template.json, with images that wait for a debugger
  --env FILE            another file than .env
  --modules A,B         only these modules of the template, with what belongs to them
  --check               write nothing
  --root DIR            another folder of templates and modules/ than this project's
`;

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        platform: { type: 'string' },
        debug: { type: 'boolean' },
        env: { type: 'string' },
        modules: { type: 'string' },
        check: { type: 'boolean' },
        root: { type: 'string' },
        help: { type: 'boolean' },
      },
    }));
  } catch (failure) {
    console.error(`${failure instanceof Error ? failure.message : String(failure)}\n\n${usage}`);
    return 2;
  }
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const root = values.root ?? fileURLToPath(new URL('..', import.meta.url));
  const { text, path, findings } = await generateManifest({
    root,
    isDebug: values.debug ?? false,
    env: process.env,
    ...(values.platform === undefined ? {} : { platform: values.platform }),
    ...(values.env === undefined ? {} : { envPath: values.env }),
    ...(values.modules === undefined
      ? {}
      : { modules: values.modules.split(',').map((name) => name.trim()) }),
  });
  if (text === undefined || findings.length > 0) {
    console.error(describeFindings(findings));
    console.error(`\n${findings.length} found; ${path} is not written.`);
    if (values.env === undefined && !existsSync(join(root, '.env')))
      console.error('There is no .env, where the variables stand: begin with  cp .env.template .env');
    return 1;
  }
  if (values.check === true) {
    console.log(`nothing found; ${path} would be written`);
    return 0;
  }
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  console.log(`${path}: written`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (failure) {
  if (!(failure instanceof EdgeError)) throw failure;
  console.error(failure.message);
  process.exitCode = 1;
}
