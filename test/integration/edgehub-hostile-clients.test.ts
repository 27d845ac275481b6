import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { startEdgeBed, until, type EdgeBed } from '../helpers/edge-hub-bed.ts';
import { connectRaw } from '../helpers/raw-mqtt.ts';

const twinReplies = '$iothub/twin/res/#';

/** Another client finds edgeHub as it was. */
async function serves(bed: EdgeBed): Promise<void> {
  const { raw } = await connectRaw(bed, 'witness', { clean: true });
  assert.equal(await raw.subscribe(twinReplies), 0);
}

/** A packet without a body other than its id, as no client library makes it. */
function bare(type: number): Buffer {
  return Buffer.from([type, 2, 0, 1]);
}

test('SUBSCRIBE and UNSUBSCRIBE without a filter close the connection of the client alone', async (t) => {
  const bed = await startEdgeBed(t);
  for (const [type, name] of [
    [0x82, 'SUBSCRIBE'],
    [0xa2, 'UNSUBSCRIBE'],
  ] as const) {
    const { raw } = await connectRaw(bed, 'm1');
    raw.socket.write(bare(type));
    await raw.waitForEnd();
    assert.ok(bed.log.some(({ message }) => message.includes(`sent ${name} without a filter`)));
    await serves(bed);
  }
});

test('a reported patch of any depth is answered with 400', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  await raw.subscribe(twinReplies);
  for (const [id, patch] of [
    `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
    `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    '{"a":1e999}',
  ].entries()) {
    await raw.publish(`$iothub/twin/PATCH/properties/reported/?$rid=${id}`, patch);
    assert.equal((await raw.publication()).topic, `$iothub/twin/res/400/?$rid=${id}`);
  }
  assert.equal(bed.hub.twins.get('m1')?.reported.version, 1);
});

test('a packet whose work fails closes its connection with an error in the log, and edgeHub goes on', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  const inTheWay = join(bed.stateDir, 'sessions.json.new');
  mkdirSync(inTheWay);
  raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: twinReplies, qos: 0 }] });
  await raw.waitForEnd();
  assert.ok(
    bed.log.some(({ message }) => message.includes('m1 sent SUBSCRIBE, which could not be worked on: ')),
  );
  rmdirSync(inTheWay);
  await serves(bed);
});

test('a message whose properties no topic can hold is dropped with a warning, and the next one comes', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ routes: { r: 'FROM /messages/* INTO BrokeredEndpoint("/modules/m1/inputs/in")' } });
  const { raw } = await connectRaw(bed, 'm1');
  await raw.subscribe('devices/dev1/modules/m1/inputs/#', 1);
  const events = 'devices/dev1/modules/m1/messages/events';
  // raw characters of two bytes become six when they are percent-encoded
  await raw.publish(`${events}/a=${'ü'.repeat(30_000)}/`, 'large', 1);
  await raw.publish(`${events}/a=1/`, 'small', 1);
  assert.equal((await raw.publication()).payload.toString(), 'small');
  await until('it is in the log', () =>
    bed.log.some(({ message }) => message.includes('do not fit into a topic')),
  );
});
