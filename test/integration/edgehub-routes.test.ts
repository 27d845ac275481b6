import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { startEdgeBed, until, type EdgeBed } from '../helpers/edge-hub-bed.ts';
import { connectRaw, type RawMqtt } from '../helpers/raw-mqtt.ts';

const inputs = 'devices/dev1/modules/b/inputs';
const output = (name: string) => `devices/dev1/modules/a/messages/events/%24.on=${name}`;

async function sender(bed: EdgeBed): Promise<RawMqtt> {
  return (await connectRaw(bed, 'a')).raw;
}

/** A receiver that acknowledges nothing by itself. */
async function receiver(bed: EdgeBed, qos: 0 | 1 = 1): Promise<RawMqtt> {
  const { raw } = await connectRaw(bed, 'b');
  await raw.subscribe(`${inputs}/#`, qos);
  return raw;
}

async function takeOne(raw: RawMqtt): Promise<string> {
  const packet = await raw.publication();
  raw.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
  return packet.payload.toString();
}

const toB = (condition = '') =>
  `FROM /messages/modules/a/* ${condition} INTO BrokeredEndpoint("/modules/b/inputs/in1")`;

test('the bag of an input has the sender and no empty entry, whatever the client claims', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ modules: ['a', 'b'], routes: { r: toB() } });
  const b = await receiver(bed);
  const a = await sender(bed);
  await a.publish(
    `devices/dev1/modules/a/messages/events/$.on=o&$.cdid=evil&$.cmid=evil&%24.ct=text%2Fplain&p%20q=1%262&empty=&flag&$.ifid=i/`,
    'x',
    1,
  );
  const { topic, qos } = await b.publication();
  assert.equal(topic, `${inputs}/in1/p%20q=1%262&%24.ct=text%2Fplain&%24.cdid=dev1&%24.cmid=a`);
  assert.equal(qos, 1);
});

test('telemetry without a bag and without a slash at the end is taken', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ modules: ['a', 'b'], routes: { r: toB() } });
  const b = await receiver(bed, 0);
  const a = await sender(bed);
  for (const tail of ['', '/', '/x=1', '/x=1/'])
    await a.publish(`devices/dev1/modules/a/messages/events${tail}`, tail, 1);
  const got = [];
  for (let n = 0; n < 4; n += 1) got.push((await b.publication()).payload.toString());
  assert.deepEqual(got, ['', '/', '/x=1', '/x=1/']);
});

test('one message is in flight at a time, and it comes again when no PUBACK does', async (t) => {
  const bed = await startEdgeBed(t, { limits: { ackTimeoutMs: 150 } });
  await bed.deploy({ modules: ['a', 'b'], routes: { r: toB() } });
  const b = await receiver(bed);
  const a = await sender(bed);
  await a.publish(output('o'), '1', 1);
  await a.publish(output('o'), '2', 1);
  const first = await b.publication();
  assert.equal(first.payload.toString(), '1');
  await assert.rejects(b.publication(undefined, 80), 'the second one waits');
  assert.equal(await takeOne(b), '1', 'sent again');
  assert.equal(await takeOne(b), '2');
  await assert.rejects(b.publication(undefined, 250), 'nothing is left');
});

test('messages wait for an absent module, in order of priority, over a restart and a torn last line', async (t) => {
  const bed = await startEdgeBed(t);
  const route = (name: string, priority: number) => ({
    route: `FROM /messages/modules/a/outputs/${name} INTO BrokeredEndpoint("/modules/b/inputs/in1")`,
    priority,
  });
  await bed.deploy({ modules: ['a', 'b'], routes: { low: route('low', 5), high: route('high', 1) } });
  const a = await sender(bed);
  for (const body of ['l1', 'l2']) await a.publish(output('low'), body, 1);
  await a.publish(output('high'), 'h1', 1);
  await bed.restart();
  appendFileSync(join(bed.stateDir, 'queue.ndjson'), '{"add":{"id":9');
  await bed.restart();
  const b = await receiver(bed);
  assert.deepEqual([await takeOne(b), await takeOne(b), await takeOne(b)], ['h1', 'l1', 'l2']);
  // the answer comes after the acknowledgements
  b.send({ cmd: 'pingreq' });
  await b.waitFor('pingresp');
  await bed.restart();
  const { raw } = await connectRaw(bed, 'b');
  await assert.rejects(raw.publication(undefined, 150), 'what was delivered is gone');
});

test('a message is dropped when its time is over', async (t) => {
  let clock = Date.now();
  const bed = await startEdgeBed(t, { now: () => clock });
  await bed.deploy({
    modules: ['a', 'b'],
    routes: { r: { route: toB(), timeToLiveSecs: 60 }, s: toB().replace('in1', 'in2') },
  });
  const a = await sender(bed);
  await a.publish(output('o'), 'x', 1);
  clock += 61_000;
  const b = await receiver(bed);
  assert.ok((await b.publication()).topic.startsWith(`${inputs}/in2/`));
  assert.ok(bed.log.some(({ message }) => message.includes('expired')));
});

test('a message that matches no route is acknowledged, dropped and warned about once', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ modules: ['a'] });
  const a = await sender(bed);
  await a.publish(output('lost'), 'x', 1);
  await a.publish(output('lost'), 'x', 1);
  const lines = bed.log.filter(({ message }) => message.includes('matches no route'));
  assert.deepEqual(lines, [{ level: 'warn', message: 'message of a output lost matches no route' }]);
  assert.equal(bed.edgeHub.unrouted.get('a/lost'), 2);
});

test('two routes to one input deliver once; conditions choose by properties and body', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({
    modules: ['a', 'b'],
    routes: {
      r: toB('WHERE $body.level > 3'),
      s: toB("WHERE kind = 'alarm'"),
      up: 'FROM /messages/* INTO $upstream',
    },
  });
  const b = await receiver(bed, 0);
  const a = await sender(bed);
  const json = '%24.ct=application%2Fjson&%24.ce=utf-8';
  await a.publish(`devices/dev1/modules/a/messages/events/${json}&Kind=alarm`, '{"level":9}', 1);
  await a.publish(`devices/dev1/modules/a/messages/events/${json}`, '{"level":1}', 1);
  await a.publish(`devices/dev1/modules/a/messages/events/${json}`, '{"level":4}', 1);
  assert.equal((await b.publication()).payload.toString(), '{"level":9}');
  assert.equal((await b.publication()).payload.toString(), '{"level":4}');
  const upstream = bed.hub.events.recent();
  assert.equal(upstream.length, 3);
  assert.deepEqual(upstream[0]?.system, { contentType: 'application/json', contentEncoding: 'utf-8' });
  assert.deepEqual(upstream[0].application, { Kind: 'alarm' });
});

test('reported patches are routed as twin change notifications', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({
    modules: ['a', 'b'],
    routes: { r: 'FROM /twinChangeNotifications INTO BrokeredEndpoint("/modules/b/inputs/twins")' },
  });
  const b = await receiver(bed, 0);
  const a = await sender(bed);
  await a.publish('$iothub/twin/PATCH/properties/reported/?$rid=1', '{"x":1}', 1);
  const { topic, payload } = await b.publication();
  assert.equal(topic, `${inputs}/twins/%24.schema=twinChangeNotification&%24.cdid=dev1&%24.cmid=a`);
  assert.equal(payload.toString(), '{"x":1}');
});

test('a bad route is refused at deployment with its name and position, and the old routes stay', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ modules: ['a', 'b'], routes: { r: toB() } });
  await assert.rejects(
    bed.deploy({ routes: { broken: 'FROM /messages/* WHERE temp > 20 INTO $upstream' } }),
    (error) => {
      assert.ok(error instanceof Error && 'code' in error);
      assert.equal(error.code, 'INVALID_CONFIGURATION');
      assert.match(error.message, /route "broken", character 29: .*as_number/);
      return true;
    },
  );
  const b = await receiver(bed, 0);
  await (await sender(bed)).publish(output('o'), 'x', 1);
  assert.equal((await b.publication()).payload.toString(), 'x');
});

test('a full store takes no more: no PUBACK and a closed connection', async (t) => {
  const bed = await startEdgeBed(t);
  const desired = {
    schemaVersion: '1.1',
    routes: { r: toB() },
    storeAndForwardConfiguration: { timeToLiveSecs: 7200, storeLimits: { maxBytes: 10 } },
  };
  await bed.hub.applyConfiguration({ modulesContent: { $edgeHub: { 'properties.desired': desired } } });
  const a = await sender(bed);
  await a.publish(output('o'), '12345678', 1);
  void a.publish(output('o'), '345').catch(() => undefined);
  await a.waitForEnd();
  assert.ok(bed.log.some(({ message }) => message.includes('storeLimits.maxBytes')));
});

test('removing a module drops its client, its session and its messages', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({ modules: ['a', 'b'], routes: { r: toB() } });
  const b = await receiver(bed);
  bed.hub.identities.remove('b');
  await b.waitForEnd();
  await (await sender(bed)).publish(output('o'), 'x', 1);
  await until('the queue takes messages for unknown modules too', () => bed.edgeHub.unrouted.size === 0);
  assert.equal((await connectRaw(bed, 'b')).connack.sessionPresent, false);
});
