import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeError } from '../../../local-edge/src/errors.ts';
import { findKafka, kafkaAddress, presentKafka } from '../../../local-edge/src/services/find-kafka.ts';
import { findJava } from '../../../local-edge/src/services/java.ts';
import { kafkaJarFolder } from '../../../local-edge/src/services/kafka-jars.ts';

/** A PATH with these scripts alone, and an empty cache. */
function machine(t: TestContext, scripts: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const dir = mkdtempSync(join(tmpdir(), 'kafka-services-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, name), 0o755);
  }
  return { PATH: dir, XDG_CACHE_HOME: join(dir, 'cache') };
}

const java17 = `echo 'openjdk version "17.0.15" 2025-04-15' >&2`;

test('takes the broker that EDGE_KAFKA_ADDRESS names, on this machine only', () => {
  assert.equal(kafkaAddress({}), undefined);
  assert.equal(kafkaAddress({ EDGE_KAFKA_ADDRESS: '' }), undefined);
  assert.equal(kafkaAddress({ EDGE_KAFKA_ADDRESS: 'none' }), 'none');
  assert.deepEqual(kafkaAddress({ EDGE_KAFKA_ADDRESS: 'localhost:9092' }), {
    kind: 'address',
    host: 'localhost',
    port: 9092,
  });
  assert.throws(
    () => kafkaAddress({ EDGE_KAFKA_ADDRESS: 'kafka.example:9092' }),
    (error) => error instanceof EdgeError && /EDGE_KAFKA_ADDRESS.*127\.0\.0\.1:9092/.test(error.message),
  );
});

test('takes a Java of 17 and above, from JAVA_HOME before PATH', async (t) => {
  const env = machine(t, { java: java17 });
  assert.equal((await findJava(env))?.major, 17);
  const home = join(env['PATH'] ?? '', 'home');
  mkdirSync(join(home, 'bin'), { recursive: true });
  writeFileSync(join(home, 'bin', 'java'), `#!/bin/sh\necho 'openjdk version "25" 2025-09-16' >&2\n`);
  chmodSync(join(home, 'bin', 'java'), 0o755);
  assert.equal((await findJava({ ...env, JAVA_HOME: home }))?.major, 25);
});

for (const version of ['1.8.0_432', '11.0.25'])
  test(`does not take Java ${version}`, async (t) => {
    assert.equal(await findJava(machine(t, { java: `echo 'openjdk version "${version}"' >&2` })), null);
  });

test('says which choices there are when there is no mvn to fetch the jars with', async (t) => {
  const env = machine(t, { java: java17 });
  await assert.rejects(findKafka({ env, say: () => assert.fail('nothing is to be fetched') }), (error) => {
    assert(error instanceof EdgeError);
    assert.equal(error.code, 'SERVICE_MISSING');
    for (const choice of ['mvn does not run', 'EDGE_KAFKA_ADDRESS', 'apt-get install maven'])
      assert(error.message.includes(choice), error.message);
    return true;
  });
});

test('says why mvn failed, and leaves nothing half fetched behind', async (t) => {
  const mvn = `[ "$1" = --version ] && exit 0\necho '[ERROR] Could not transfer artifact x: refused'\necho '[ERROR] advice'\nexit 1`;
  const env = machine(t, { java: java17, mvn });
  const said: string[] = [];
  await assert.rejects(
    findKafka({ env, say: (line) => void said.push(line) }),
    /mvn failed: Could not transfer artifact x: refused/,
  );
  assert.match(said.join('\n'), /fetching the jars of Apache Kafka .* \(44 MB\)/);
  assert.equal(await presentKafka(env), undefined);
});

test('Kafka is present without fetching when both the jars and a Java are here', async (t) => {
  const env = machine(t, { java: java17 });
  assert.equal(await presentKafka(env), undefined);
  mkdirSync(join(kafkaJarFolder(join(env['XDG_CACHE_HOME'] ?? '', 'iotedge-redis')), 'libs'), {
    recursive: true,
  });
  assert.equal((await presentKafka(env))?.kind, 'program');
  assert.equal(await presentKafka({ ...env, PATH: '/nowhere' }), undefined);
});
