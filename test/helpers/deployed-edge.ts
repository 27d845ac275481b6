import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generateManifest } from '../../build/manifest/generate.ts';
import { subscribe } from './bridge.ts';
import { freePorts, projectRoot } from './edge-process.ts';
import type { EdgeProcess } from './edge-process.ts';
import { eventually } from './site.ts';

/** For tests of the template's modules alone: the samples add some of their own. */
export const withoutSamples = [...freePorts, '--no-sample'];

/** Lets `edge start` bring the sample Kafka, which tests do without otherwise. */
export const sampleKafka = { EDGE_KAFKA_ADDRESS: '' };

/** What `npm run manifest` writes for this machine, in a file. */
export async function generated(edge: EdgeProcess, modules?: readonly string[]): Promise<string> {
  const { text, findings } = await generateManifest({
    root: projectRoot,
    envPath: join(projectRoot, '.env.template'),
    env: {},
    ...(modules === undefined ? {} : { modules }),
  });
  assert.deepEqual(findings, []);
  const file = join(edge.stateDir, 'generated.json');
  writeFileSync(file, text ?? '');
  return file;
}

export async function running(edge: EdgeProcess): Promise<string[]> {
  return (await edge.modules())
    .filter((one) => one.status === 'running')
    .map((one) => one.name)
    .sort();
}

export function item(edge: EdgeProcess, key: string): Promise<unknown> {
  return edge
    .invoke('redis-client', 'GetItem', key)
    .then((reply) => (reply['payload'] as { Message: string }).Message);
}

/** One piece of work for each module; resolves when each has done its own. */
export async function everyModuleWorks(t: TestContext, edge: EdgeProcess): Promise<void> {
  // All of them wait for settings but redis-client; the samples of npm start are their settings.
  await eventually(
    () => edge.invoke('redis-client', 'SetItem', 'ping:pong').then(JSON.stringify, String),
    (reply) => reply.includes('Written:True'),
    30_000,
  );
  assert.equal(await item(edge, 'ping'), 'pong');
  await eventually(
    () => edge.invoke('redis-sync', 'SyncStatus', null),
    (reply) => JSON.stringify(reply).includes('"state":"done"'),
    // Azurite has to come up for it.
    90_000,
  );
  assert.equal(await item(edge, 'key2'), 'value2');
  const net = JSON.parse(readFileSync(join(edge.stateDir, 'net.json'), 'utf8')) as Record<string, number>;
  const subscriber = await subscribe(t, `mqtt://127.0.0.1:${net['mosquitto:1883'] ?? 0}`);
  await edge.invoke('redis-client', 'SetItem', 'still:here');
  await subscriber.until(0, () => true, 1);
  await exportWorks(edge);
}

/** An export into the sample storage, to its end. */
async function exportWorks(edge: EdgeProcess): Promise<void> {
  const begun = await eventually(
    async () => (await edge.invoke('redis-snapshot', 'Export', null))['payload'] as { runId?: string },
    ({ runId }) => runId !== undefined,
    60_000,
  );
  const ended = await eventually(
    async () => {
      const { properties } = (await edge.json('module-twin', 'show', '-m', 'redis-snapshot')) as {
        properties: { reported: { export?: { runId?: string; state?: string; finishedAt?: string } } };
      };
      return properties.reported.export;
    },
    (run) => run?.runId === begun.runId && run?.finishedAt !== undefined,
    60_000,
  );
  assert.equal(ended?.state, 'done', JSON.stringify(ended));
}

/** kafka-ingest has taken the sample records; the edge was started with the sample Kafka. */
export async function ingestWorks(edge: EdgeProcess): Promise<void> {
  await eventually(
    () => item(edge, 'battery:1'),
    (value) => String(value).includes('charging'),
    // A Kafka has to come up for it.
    120_000,
  );
}
