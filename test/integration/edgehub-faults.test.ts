import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'node:test';
import { startEdgeBed, until, type EdgeBed } from '../helpers/edge-hub-bed.ts';
import { connectRaw, openRaw } from '../helpers/raw-mqtt.ts';

const events = 'devices/dev1/modules/m1/messages/events/';

async function tcpProbe(bed: EdgeBed): Promise<string> {
  const socket = connect(bed.edgeHub.port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return 'connected';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'failed';
  } finally {
    socket.destroy();
  }
}

test('refuse closes the port and opens the same one again; who is connected stays', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  bed.hub.faults.refuse = true;
  assert.equal(await tcpProbe(bed), 'ECONNREFUSED');
  raw.send({ cmd: 'pingreq' });
  await raw.waitFor('pingresp');
  bed.hub.faults.refuse = false;
  await until('the port is open again', () => true);
  for (let tries = 0; (await tcpProbe(bed)) !== 'connected'; tries += 1) assert.ok(tries < 50);
});

test('fin and rst end connections as they say, of one module or of all', async (t) => {
  const bed = await startEdgeBed(t);
  const one = await connectRaw(bed, 'm1');
  const two = await connectRaw(bed, 'm2');
  bed.hub.drop('rst', 'm1');
  assert.equal(await one.raw.waitForEnd(), 'rst');
  assert.equal(two.raw.ended, undefined);
  bed.hub.drop('fin');
  assert.equal(await two.raw.waitForEnd(), 'fin');
});

test('connack answers every CONNECT with its code', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.faults.connack = 3;
  assert.equal((await connectRaw(bed, 'm1')).connack.returnCode, 3);
  bed.hub.faults.connack = null;
  assert.equal((await connectRaw(bed, 'm1')).connack.returnCode, 0);
});

test('stall silences old and new connections, and what was held back follows when it ends', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ routes: { r: 'FROM /* INTO $upstream' } });
  const { raw } = await connectRaw(bed, 'm1');
  bed.hub.faults.stall = true;
  raw.send({ cmd: 'pingreq' });
  for (let messageId = 1; messageId <= 30; messageId += 1) {
    raw.send({ cmd: 'publish', topic: events, payload: 'x', qos: 1, dup: false, retain: false, messageId });
  }
  const late = await openRaw(bed);
  late.send({ cmd: 'connect', clientId: 'x', protocolVersion: 4, clean: true, keepalive: 1 });
  await assert.rejects(raw.waitFor('pingresp', undefined, 150));
  assert.equal(late.received.length, 0);
  assert.equal(bed.hub.events.recent().length, 0);
  bed.hub.faults.stall = false;
  await raw.waitFor('pingresp');
  await raw.waitFor('puback', ({ messageId }) => messageId === 30);
  assert.equal(bed.hub.events.recent().length, 30);
  await late.waitFor('connack');
});

test('noPuback takes messages and never acknowledges them', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ routes: { r: 'FROM /* INTO $upstream' } });
  const { raw } = await connectRaw(bed, 'm1');
  bed.hub.faults.noPuback = true;
  raw.send({ cmd: 'publish', topic: events, payload: 'x', qos: 1, dup: false, retain: false, messageId: 1 });
  await assert.rejects(raw.waitFor('puback', undefined, 150));
  assert.equal(bed.hub.events.recent().length, 1);
});

test('noTwinReply leaves a twin GET without an answer', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  await raw.subscribe('$iothub/twin/res/#');
  bed.hub.faults.noTwinReply = true;
  await raw.publish('$iothub/twin/GET/?$rid=1', ' ', 1);
  await assert.rejects(raw.publication(undefined, 150));
});

test('a token clock beyond the expiry drops who is connected and refuses who comes', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  bed.hub.shiftTokenClock(30 * 60_000);
  assert.equal(raw.ended, undefined, 'tokens hold for an hour');
  bed.hub.shiftTokenClock(61 * 60_000);
  await raw.waitForEnd();
  assert.equal((await connectRaw(bed, 'm1')).connack.returnCode, 5);
  bed.hub.shiftTokenClock(0);
  assert.equal((await connectRaw(bed, 'm1')).connack.returnCode, 0);
});

test('expired tokens are also found by the regular check', async (t) => {
  let clock = Date.now();
  const bed = await startEdgeBed(t, { limits: { reauthenticateMs: 50 }, now: () => clock });
  const { raw } = await connectRaw(bed, 'm1');
  clock += 3_700_000;
  await raw.waitForEnd();
});
