import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheFolder } from '../../local-edge/src/services/cache.ts';
import { findKafka } from '../../local-edge/src/services/find-kafka.ts';
import { onEnd } from '../helpers/cleanup.ts';
import { plainEnvironment, projectRoot, runProgram, runs, startEdge } from '../helpers/edge-process.ts';
import { startKafka } from '../helpers/kafka.ts';
import { treeOf } from '../helpers/process-tree.ts';
import { eventually } from '../helpers/site.ts';

/** With the sample Kafka, which the other tests leave out. */
const EDGE_KAFKA_ADDRESS = '';
const command = `npx edge invoke-module-method -m redis-client --mn GetItem --mp '"battery:1"'`;

test('npm start with Kafka on the machine shows a record arriving in Redis, and what to type to see it', async (t) => {
  await findKafka();
  const edge = await startEdge(t, { env: plainEnvironment({ EDGE_KAFKA_ADDRESS }) });
  assert(edge.output.stdout.includes(`  ${command}`), edge.output.stdout);
  const type = () => runProgram('sh', ['-c', command], { cwd: projectRoot, env: edge.env });
  const { stdout } = await eventually(type, (ended) => ended.stdout.includes('"status": 200'), 60_000);
  const { payload } = JSON.parse(stdout) as { payload: { Message: string } };
  assert.deepEqual(JSON.parse(payload.Message), { battery_id: '1', state: 'charging', charge: '81' });
  assert.match(
    edge.output.stderr,
    /sample: kafka-ingest takes the topic sample of the Kafka at 127\.0\.0\.1:\d+/,
  );

  const { payload: status } = await edge.invoke('kafka-ingest', 'IngestStatus', null);
  assert.match(JSON.stringify(status), /"topic":"sample"/);
  const tree = treeOf(edge.facts.pid);
  assert.equal(await edge.interrupt(), 0);
  assert.deepEqual(tree.filter(runs), [], 'everything has ended, the sample Kafka too');
});

test('without Kafka on the machine npm start waits for nothing and says how to get it', async (t) => {
  const cache = cacheWithoutKafka();
  onEnd(t, () => rmSync(cache, { recursive: true, force: true }));
  const edge = await startEdge(t, { env: plainEnvironment({ EDGE_KAFKA_ADDRESS, XDG_CACHE_HOME: cache }) });
  assert.match(edge.output.stdout, /^ {2}npm start -- --kafka {2,}/m);
  assert.doesNotMatch(edge.output.stderr, /kafka-ingest is not ready|fetching the jars/);
  const seconds = Number(/is ready \((\d+\.\d) s\)/.exec(edge.output.stdout)?.[1]);
  assert(seconds < 40, `ready after ${seconds} s`);
  assert(!existsSync(join(edge.stateDir, 'sample-kafka')));
});

test('a broker that is named in the module twin is read, and the sample is left alone', async (t) => {
  const kafka = await startKafka(t);
  await kafka.createTopic('site', 1);
  await kafka.produce('site', [{ key: 'own:1', value: '{"state":"ok"}' }]);
  const env = plainEnvironment({ EDGE_KAFKA_ADDRESS });
  const edge = await startEdge(t, { env });
  const desired = JSON.stringify({ brokers: [kafka.address], topics: ['site'] });
  // The sample may still be on its way, and gives way to what a person sets.
  await eventually(
    () => Promise.resolve(edge.output.stderr),
    (text) => /sample: (?:kafka-ingest takes|no Kafka)/.test(text),
    60_000,
  );
  await edge.ok('module-twin', 'update', '-m', 'kafka-ingest', '--desired', desired);
  await eventually(
    async () => (await edge.invoke('redis-client', 'GetItem', 'own:1'))['payload'],
    (payload) => JSON.stringify(payload).includes('state'),
    60_000,
  );
  assert.equal(await edge.interrupt(), 0);
  const again = await startEdge(t, { stateDir: edge.stateDir, env });
  const { properties } = (await again.json('module-twin', 'show', '-m', 'kafka-ingest')) as {
    properties: { desired: Record<string, unknown> };
  };
  assert.deepEqual(properties.desired['brokers'], [kafka.address]);
  assert.doesNotMatch(again.output.stdout, /battery:1|--kafka/);
});

test('EDGE_KAFKA_ADDRESS=none leaves the sample Kafka out, and says nothing of it', async (t) => {
  await findKafka();
  const edge = await startEdge(t, { env: plainEnvironment({ EDGE_KAFKA_ADDRESS: 'none' }) });
  assert.doesNotMatch(edge.output.stdout + edge.output.stderr, /kafka-ingest takes|--kafka/);
  assert(!existsSync(join(edge.stateDir, 'sample-kafka')));
});

/** The cache of this user with everything in it but Kafka. */
function cacheWithoutKafka(): string {
  const own = mkdtempSync(join(tmpdir(), 'cache-'));
  mkdirSync(join(own, 'iotedge-redis'));
  const shared = cacheFolder(process.env);
  for (const name of existsSync(shared) ? readdirSync(shared) : [])
    if (name !== 'kafka') symlinkSync(join(shared, name), join(own, 'iotedge-redis', name));
  return own;
}
