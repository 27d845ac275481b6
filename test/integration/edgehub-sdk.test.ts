import assert from 'node:assert/strict';
import test from 'node:test';
import iot, { type Message, type ModuleClient, type Twin } from 'azure-iot-device';
import { Mqtt } from 'azure-iot-device-mqtt';
import { startEdgeBed, until, type EdgeBed } from '../helpers/edge-hub-bed.ts';

const call = { payload: null, responseTimeoutMs: 5000, connectTimeoutMs: 0 };

/** The unmodified device SDK, configured by the environment that a module gets. */
async function connect(bed: EdgeBed, moduleId: string): Promise<ModuleClient> {
  const environment = await bed.environment(moduleId);
  Object.assign(process.env, environment);
  const client = await iot.ModuleClient.fromEnvironment(Mqtt);
  for (const name of Object.keys(environment)) Reflect.deleteProperty(process.env, name);
  client.on('error', () => undefined);
  bed.before(() => closed(client));
  await client.open();
  return client;
}

function closed(client: ModuleClient): Promise<void> {
  return new Promise((resolve) => {
    client.close(() => resolve());
  });
}

function textOf(message: Message): string {
  return (message.getData() as Buffer).toString('utf8');
}

function report(twin: Twin, patch: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const reported = twin.properties.reported as {
      update(patch: object, done: (error?: Error) => void): void;
    };
    reported.update(patch, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

test('a direct method reaches the handler of the device SDK and its reply comes back', async (t) => {
  const bed = await startEdgeBed(t);
  const client = await connect(bed, 'm1');
  client.onMethod('Echo', (request, response) => {
    void response?.send(207, { got: request?.payload as unknown });
  });
  await until('methods are subscribed', () => bed.hub.identities.connection('m1').connected);
  const outcome = await bed.hub.methods.invoke({
    ...call,
    moduleId: 'm1',
    methodName: 'Echo',
    payload: { text: 'a:b "ü"' },
    connectTimeoutMs: 5000,
  });
  assert.deepEqual(outcome, { kind: 'reply', status: 207, payload: { got: { text: 'a:b "ü"' } } });
});

test('a method that no handler has gets no answer, and no 501', async (t) => {
  const bed = await startEdgeBed(t);
  const client = await connect(bed, 'm1');
  client.onMethod('Known', (_request, response) => void response?.send(200));
  const known = { ...call, moduleId: 'm1', methodName: 'Known', connectTimeoutMs: 5000 };
  assert.equal((await bed.hub.methods.invoke(known)).kind, 'reply');
  const unknown = { ...call, moduleId: 'm1', methodName: 'Unknown', responseTimeoutMs: 300 };
  assert.equal((await bed.hub.methods.invoke(unknown)).kind, 'timeout');
});

test('the device SDK reads its twin, reports, and sees desired patches', async (t) => {
  const bed = await startEdgeBed(t);
  bed.hub.identities.add('m1');
  bed.hub.twins.patchDesired('m1', { desired: { colour: 'red', list: [1, 2] } });
  const client = await connect(bed, 'm1');
  const twin = await client.getTwin();
  assert.deepEqual(twin.properties.desired, {
    ...twin.properties.desired,
    colour: 'red',
    list: [1, 2],
    $version: 2,
  });
  await report(twin, { state: { up: true } });
  assert.deepEqual(bed.hub.twins.get('m1')?.reported.properties, { state: { up: true } });
  const patches: unknown[] = [];
  twin.on('properties.desired', (patch: unknown) => void patches.push(patch));
  await until('the whole section is delivered first', () => patches.length === 1);
  await until('the desired filter is subscribed', () => {
    bed.hub.twins.patchDesired('m1', { desired: { colour: null } });
    return patches.length > 1;
  });
  assert.equal((patches[1] as { colour: unknown }).colour, null);
});

test('an output reaches the input that a route names, with its properties and its sender', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({
    modules: ['a', 'b'],
    routes: { r: 'FROM /messages/modules/a/outputs/out1 INTO BrokeredEndpoint("/modules/b/inputs/in1")' },
  });
  const receiver = await connect(bed, 'b');
  const received: { input: string; message: Message }[] = [];
  receiver.on('inputMessage', (input: string, message: Message) => void received.push({ input, message }));
  const sender = await connect(bed, 'a');
  const message = new iot.Message(JSON.stringify({ t: 1 }));
  message.contentType = 'application/json';
  message.messageId = 'id 1';
  message.properties.add('my prop', 'a/b&c');
  await sender.sendOutputEvent('out1', message);
  await until('the message arrives', () => received.length === 1);
  const [first] = received;
  assert.equal(first?.input, 'in1');
  assert.equal(textOf(first.message), '{"t":1}');
  assert.equal(first.message.contentType, 'application/json');
  assert.equal(first.message.messageId, 'id 1');
  assert.equal(first.message.properties.getValue('my prop'), 'a/b&c');
  assert.equal(first.message.properties.getValue('$.cmid'), 'a');
});

test('a connection string with the gateway and the CA file connects the SDK too', async (t) => {
  const bed = await startEdgeBed(t);
  const { primaryKey } = bed.hub.identities.add('m1');
  const environment = {
    EdgeHubConnectionString: `HostName=localhost;GatewayHostName=localhost:${bed.edgeHub.port};DeviceId=dev1;ModuleId=m1;SharedAccessKey=${primaryKey}`,
    EdgeModuleCACertificateFile: bed.certificates.caFile,
  };
  Object.assign(process.env, environment);
  const client = await iot.ModuleClient.fromEnvironment(Mqtt);
  for (const name of Object.keys(environment)) Reflect.deleteProperty(process.env, name);
  bed.before(() => closed(client));
  await client.open();
  assert.equal(bed.hub.identities.connection('m1').connected, true);
});

test('after a FIN the SDK comes back and its twin subscription is restored from the session', async (t) => {
  const bed = await startEdgeBed(t);
  const client = await connect(bed, 'm1');
  client.onMethod('Ping', (_request, response) => void response?.send(200));
  const twin = await client.getTwin();
  const patches: { n?: number }[] = [];
  twin.on('properties.desired', (patch: { n?: number }) => void patches.push(patch));
  await until('the desired filter is subscribed', () => {
    bed.hub.twins.patchDesired('m1', { desired: { n: 0 } });
    return patches.some(({ n }) => n === 0);
  });
  const reconnected = new Promise((resolve) => client.once('connect', resolve));
  bed.hub.drop('fin', 'm1');
  await reconnected;
  bed.hub.twins.patchDesired('m1', { desired: { n: 7 } });
  await until('the patch arrives without a new SUBSCRIBE', () => patches.some(({ n }) => n === 7));
});

test('sessions, twins and queued messages survive a restart of the local edge', async (t) => {
  const bed = await startEdgeBed(t);
  await bed.deploy({
    modules: ['a', 'b'],
    routes: { r: 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/in1")' },
  });
  const client = await connect(bed, 'b');
  client.onMethod('Ping', (_request, response) => void response?.send(200));
  const received: string[] = [];
  client.on('inputMessage', (_input: string, message: Message) => {
    received.push(textOf(message));
  });
  const twin = await client.getTwin();
  const patches: { n?: number }[] = [];
  twin.on('properties.desired', (patch: { n?: number }) => void patches.push(patch));
  await until('the desired filter is subscribed', () => {
    bed.hub.twins.patchDesired('b', { desired: { n: 0 } });
    return patches.some(({ n }) => n === 0);
  });
  const back = new Promise((resolve, reject) => {
    client.once('connect', resolve);
    // the SDK gives up at the first refused connection; opening again is for the module to do
    client.once('disconnect', () => void client.open().then(resolve, reject));
  });
  await bed.restart();
  await back;
  bed.hub.twins.patchDesired('b', { desired: { n: 9 } });
  await until('the restored filter delivers', () => patches.some(({ n }) => n === 9));
  const sender = await connect(bed, 'a');
  await sender.sendOutputEvent('x', new iot.Message('after'));
  await until('routes and inputs work after the restart', () => received.includes('after'));
});
