import assert from 'node:assert/strict';
import test from 'node:test';
import { sasToken, startEdgeBed, until } from '../helpers/edge-hub-bed.ts';
import { connectRaw, openRaw } from '../helpers/raw-mqtt.ts';

const events = 'devices/dev1/modules/m1/messages/events';

test('a valid token connects, also for the second key and without "?" in the user name', async (t) => {
  const bed = await startEdgeBed(t);
  assert.equal((await connectRaw(bed, 'm1')).connack.returnCode, 0);
  const key = bed.hub.identities.add('m2').secondaryKey;
  const password = sasToken(bed, 'm2', { key, host: 'LocalHost:8883' });
  const username = 'whatever/dev1/m2/api-version=1';
  assert.equal((await connectRaw(bed, 'm2', { password, username })).connack.returnCode, 0);
  assert.equal(bed.hub.identities.connection('m2').connected, true);
});

test('bad credentials are answered with CONNACK 5 and a closed connection', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m2');
  const expiry = Math.floor(Date.now() / 1000) - 1;
  const cases = {
    'client id of another module': { clientId: 'dev1/m2' },
    'client id in another case': { clientId: 'Dev1/m1' },
    'no token': { password: 'x' },
    'expired token': { password: sasToken(bed, 'm1', { expiry }) },
    'token for another host': { password: sasToken(bed, 'm1', { host: 'example.org' }) },
    'token of another module': { password: sasToken(bed, 'm2') },
    'signature by a wrong key': { password: sasToken(bed, 'm1', { key: 'AAAA' }) },
    'unknown device': { username: 'localhost/dev2/m1/?api-version=1', clientId: 'dev2/m1' },
    'unknown module': { username: 'localhost/dev1/m9/?api-version=1', clientId: 'dev1/m9' },
    'a leaf device': { username: 'localhost/dev1/?api-version=1', clientId: 'dev1' },
  };
  for (const [name, options] of Object.entries(cases)) {
    const { raw, connack } = await connectRaw(bed, 'm1', options);
    assert.equal(connack.returnCode, 5, name);
    await raw.waitForEnd();
  }
});

test('a user name without api-version is CONNACK 3, another protocol version CONNACK 1', async (t) => {
  const bed = await startEdgeBed(t);
  const unavailable = await connectRaw(bed, 'm1', { username: 'localhost/dev1/m1/?x=1' });
  assert.equal(unavailable.connack.returnCode, 3);
  const version = await connectRaw(bed, 'm1', { protocolVersion: 5 });
  assert.equal(version.connack.returnCode, 1);
});

test('a session is present from the first subscription on, until it is cleaned or lost', async (t) => {
  const bed = await startEdgeBed(t);
  const first = await connectRaw(bed, 'm1');
  assert.equal(first.connack.sessionPresent, false);
  await first.raw.subscribe('$iothub/twin/res/#');
  const second = await connectRaw(bed, 'm1');
  assert.equal(second.connack.sessionPresent, true);
  await second.raw.publish('$iothub/twin/GET/?$rid=7', ' ');
  assert.equal((await second.raw.publication()).topic, '$iothub/twin/res/200/?$rid=7');
  bed.hub.loseSessions();
  assert.equal((await connectRaw(bed, 'm1')).connack.sessionPresent, false);
  const again = await connectRaw(bed, 'm1');
  await again.raw.subscribe('$iothub/twin/res/#');
  assert.equal((await connectRaw(bed, 'm1', { clean: true })).connack.sessionPresent, false);
  assert.equal((await connectRaw(bed, 'm1')).connack.sessionPresent, false);
});

test('the same client id again closes the older connection and the module stays connected', async (t) => {
  const bed = await startEdgeBed(t);
  const older = await connectRaw(bed, 'm1');
  const newer = await connectRaw(bed, 'm1');
  assert.equal(await older.raw.waitForEnd(), 'fin');
  newer.raw.send({ cmd: 'pingreq' });
  await newer.raw.waitFor('pingresp');
  assert.equal(bed.hub.identities.connection('m1').connected, true);
});

test('QoS 1 is the most that is granted, and unknown filters are granted too', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  assert.equal(await raw.subscribe('$iothub/methods/POST/#', 2), 1);
  assert.equal(await raw.subscribe('some/thing/+', 1), 1);
  assert.ok(bed.log.some(({ message }) => message.includes('some/thing/+')));
});

test('breaches of the protocol close the connection with a log line that names the topic', async (t) => {
  const bed = await startEdgeBed(t);
  const cases: [string, (raw: Awaited<ReturnType<typeof openRaw>>) => void][] = [
    ['QoS 2', (raw) => void raw.publish(`${events}/`, 'x', 2)],
    ['devices/x/y', (raw) => void raw.publish('devices/x/y')],
    ['devices/dev1/modules/m2', (raw) => void raw.publish('devices/dev1/modules/m2/messages/events/')],
    ['$iothub/twin/GET/', (raw) => void raw.publish('$iothub/twin/GET/', ' ')],
    ['$iothub/twin/POST/x', (raw) => void raw.publish('$iothub/twin/POST/x/?$rid=1', ' ')],
    ['second CONNECT', (raw) => raw.send({ cmd: 'connect', clientId: 'dev1/m1', protocolVersion: 4 })],
    ['PINGRESP', (raw) => raw.send({ cmd: 'pingresp' })],
    ['no MQTT packet', (raw) => raw.socket.write(Buffer.from([0xf0, 0x00, 0xff, 0xff]))],
  ];
  for (const [name, act] of cases) {
    const { raw } = await connectRaw(bed, 'm1');
    act(raw);
    await raw.waitForEnd();
    assert.ok(
      bed.log.some(({ message }) => message.includes(name)),
      `a log line with ${name}`,
    );
  }
});

test('a packet beyond 262144 bytes closes the connection by its header alone', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ routes: { r: 'FROM /* INTO $upstream' } });
  const { raw } = await connectRaw(bed, 'm1');
  const overhead = Buffer.byteLength(`${events}/`) + 4;
  await raw.publish(`${events}/`, Buffer.alloc(262_144 - overhead), 1);
  assert.equal(bed.hub.events.recent().length, 1);
  raw.socket.write(Buffer.from([0x30, 0x81, 0x80, 0x10]));
  await raw.waitForEnd();
});

test('a client that sends no CONNECT, or is silent for 1.5 times its keep-alive, is closed', async (t) => {
  const bed = await startEdgeBed(t, { limits: { connectArrivalMs: 200 } });
  const mute = await openRaw(bed);
  const { raw } = await connectRaw(bed, 'm1', { keepalive: 1 });
  await mute.waitForEnd();
  await raw.waitForEnd();
  assert.equal(bed.hub.identities.connection('m1').connected, false);
});

test('a twin GET before the reply filter is subscribed is acknowledged and not answered', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  await raw.publish('$iothub/twin/GET/?$rid=1', '', 1);
  await raw.subscribe('$iothub/twin/res/#', 1);
  await raw.publish('$iothub/twin/GET/?$rid=2', ' ', 1);
  const reply = await raw.publication();
  assert.equal(reply.topic, '$iothub/twin/res/200/?$rid=2');
  assert.equal(reply.qos, 1);
  assert.deepEqual(JSON.parse(reply.payload.toString()), {
    desired: { $version: 1 },
    reported: { $version: 1 },
  });
});

test('a reported patch is answered with 204 without a version, a bad one with 400 and an empty body', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  await raw.subscribe('$iothub/twin/res/#');
  const report = async (patch: string): Promise<string> => {
    await raw.publish('$iothub/twin/PATCH/properties/reported/?$rid=r', patch);
    const reply = await raw.publication();
    assert.equal(reply.payload.length, 0);
    return reply.topic;
  };
  assert.equal(await report('{"a":1}'), '$iothub/twin/res/204/?$rid=r');
  assert.equal(await report('{"a":null,"b":[1]}'), '$iothub/twin/res/204/?$rid=r');
  assert.equal(await report('{"a b":1}'), '$iothub/twin/res/400/?$rid=r');
  assert.equal(await report('{"a":[null]}'), '$iothub/twin/res/400/?$rid=r');
  assert.equal(
    await report(JSON.stringify({ a: ['x'.repeat(4000)].concat(Array(9).fill('y'.repeat(4000))) })),
    '$iothub/twin/res/400/?$rid=r',
  );
  assert.equal(await report('{'), '$iothub/twin/res/500/?$rid=r');
  assert.deepEqual(bed.hub.twins.get('m1')?.reported.properties, { b: [1] });
  assert.equal(bed.hub.twins.get('m1')?.reported.version, 3);
});

test('a desired patch carries its nulls and its version, and is not kept for absent modules', async (t) => {
  const bed = await startEdgeBed(t);
  const { raw } = await connectRaw(bed, 'm1');
  await raw.subscribe('$iothub/twin/PATCH/properties/desired/#');
  bed.hub.twins.replaceDesired('m1', { desired: { a: { x: 1, y: 2 } } });
  bed.hub.twins.replaceDesired('m1', { desired: { a: { x: 1 }, b: true } });
  await raw.publication(({ topic }) => topic.endsWith('?$version=2'));
  const second = await raw.publication();
  assert.equal(second.topic, '$iothub/twin/PATCH/properties/desired/?$version=3');
  assert.deepEqual(JSON.parse(second.payload.toString()), { a: { x: 1, y: null }, b: true, $version: 3 });
  bed.hub.drop('fin', 'm1');
  await raw.waitForEnd();
  bed.hub.twins.patchDesired('m1', { desired: { b: false } });
  const { raw: later } = await connectRaw(bed, 'm1');
  bed.hub.twins.patchDesired('m1', { desired: { c: 1 } });
  assert.ok((await later.publication()).topic.endsWith('?$version=5'));
});

test('a will is routed when the connection breaks, and not after DISCONNECT', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ routes: { r: 'FROM /messages/* INTO $upstream' } });
  const will = { topic: `${events}/`, payload: Buffer.from('gone') };
  const polite = await connectRaw(bed, 'm1', { will });
  polite.raw.send({ cmd: 'disconnect' });
  await polite.raw.waitForEnd();
  assert.equal(bed.hub.events.recent().length, 0);
  const rude = await connectRaw(bed, 'm1', { will });
  rude.raw.socket.destroy();
  await until('the will is routed', () => bed.hub.events.recent().length === 1);
  assert.equal(bed.hub.events.recent()[0]?.body.toString(), 'gone');
});

test('a hundred clients are served, the next one gets CONNACK 3', async (t) => {
  const bed = await startEdgeBed(t);
  const names = Array.from({ length: 100 }, (_, index) => `c${index}`);
  const all = await Promise.all(names.map((name) => connectRaw(bed, name)));
  assert.ok(all.every(({ connack }) => connack.returnCode === 0));
  assert.equal((await connectRaw(bed, 'c100')).connack.returnCode, 3);
  assert.equal((await connectRaw(bed, 'c7')).connack.returnCode, 0, 'one that is connected may come again');
});

test('edgeHub listens on the IPv6 loopback too', async (t) => {
  const bed = await startEdgeBed(t);
  const raw = await openRaw(bed, '::1');
  raw.socket.destroy();
});
