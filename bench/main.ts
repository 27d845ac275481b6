/** `npm run bench -- NAME [--json FILE] [--rounds N]`: measures one module against what a user would run instead. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Benchmark } from './harness.ts';
import { table } from './table.ts';

const benchmarks: Record<string, () => Promise<{ benchmark: Benchmark }>> = {
  'kafka-ingest': () => import('./kafka-ingest.ts'),
  modules: () => import('./modules.ts'),
  'redis-client': () => import('./redis-client.ts'),
  'redis-snapshot': () => import('./redis-snapshot.ts'),
  'redis-sync': () => import('./redis-sync.ts'),
  'stream-to-mqtt': () => import('./stream-to-mqtt.ts'),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, rounds: { type: 'string', default: '5' } },
});
const [name] = positionals;
const load = name === undefined ? undefined : benchmarks[name];
const rounds = Number(values.rounds);
if (
  name === undefined ||
  load === undefined ||
  positionals.length !== 1 ||
  !Number.isInteger(rounds) ||
  rounds < 1
) {
  console.error(
    `usage: npm run bench -- NAME [--json FILE] [--rounds N]\nNAME is one of: ${Object.keys(benchmarks).join(', ')}; N is 1 or more.`,
  );
  process.exit(2);
}

const { benchmark } = await load();
const rows = await benchmark({
  rounds,
  progress: (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`),
});
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
console.log(table(rows));
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ bench: name, rows }, null, 2)}\n`);
