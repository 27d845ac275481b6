import type { IConnectPacket } from 'mqtt-packet';
import { checkToken, parseUsername } from '../authentication.ts';
import type { Broker } from '../broker.ts';
import type { Connection } from '../connection.ts';

const returnCodes = { accepted: 0, unacceptableVersion: 1, unavailable: 3, notAuthorised: 5 } as const;
const maxClients = 100;
const longestKeepAliveMs = 600_000;

/** CONNECT: everything is in place when CONNACK goes out, since clients publish right behind it. */
export function handleConnect(broker: Broker, connection: Connection, packet: IConnectPacket): void {
  // [MQTT-3.1.0-2]
  if (connection.client !== undefined) {
    broker.refuse(connection, 'sent a second CONNECT');
    return;
  }
  const { connack } = broker.hub.faults;
  if (connack !== null) {
    answer(broker, connection, connack, `CONNACK ${connack} is switched on as a fault`);
    return;
  }
  const refusal = findRefusal(broker, packet);
  if (refusal !== undefined) {
    answer(broker, connection, refusal.code, refusal.reason);
    return;
  }
  accept(broker, connection, packet);
}

function findRefusal(
  broker: Broker,
  packet: IConnectPacket,
): { readonly code: number; readonly reason: string } | undefined {
  const { unacceptableVersion, unavailable, notAuthorised } = returnCodes;
  // [MQTT-3.1.2-2]
  if (packet.protocolVersion !== 4) {
    return { code: unacceptableVersion, reason: 'the protocol is not MQTT 3.1.1' };
  }
  const username = parseUsername(packet.username ?? '');
  // edgeHub's parser throws on such a name, which makes it "server unavailable"
  if (username === undefined) {
    return {
      code: unavailable,
      reason: `the user name "${packet.username ?? ''}" is not host/device/module/?api-version=…`,
    };
  }
  const { deviceId } = broker.hub;
  if (username.moduleId === '') {
    return {
      code: notAuthorised,
      reason: `"${username.deviceId}" is no module; leaf devices are not emulated`,
    };
  }
  if (username.deviceId !== deviceId) {
    return { code: notAuthorised, reason: `the device is "${deviceId}", not "${username.deviceId}"` };
  }
  if (packet.clientId !== `${deviceId}/${username.moduleId}`) {
    return { code: notAuthorised, reason: `the client id "${packet.clientId}" is not that of the user name` };
  }
  const verdict = checkToken(broker.hub, username.moduleId, packet.password?.toString('utf8') ?? '');
  if (!verdict.ok) return { code: notAuthorised, reason: verdict.reason };
  if (broker.registry.of(username.moduleId) === undefined && broker.registry.clientCount >= maxClients) {
    return { code: unavailable, reason: `${maxClients} clients are connected already` };
  }
  return undefined;
}

function accept(broker: Broker, connection: Connection, packet: IConnectPacket): void {
  const moduleId = packet.clientId.slice(broker.hub.deviceId.length + 1);
  const { session, present } = broker.sessions.open(moduleId, packet.clean ?? false);
  connection.client = { moduleId, token: packet.password?.toString('utf8') ?? '', session };
  connection.keepAliveMs = keepAliveOf(packet.keepalive ?? 0);
  if (packet.will !== undefined) {
    connection.will = { topic: packet.will.topic, payload: Buffer.from(packet.will.payload) };
  }
  // [MQTT-3.1.4-2] the same id again closes the older connection
  const older = broker.registry.bind(moduleId, connection);
  if (older !== undefined) {
    broker.log('info', `${moduleId} connected again; its older connection is closed`);
    older.close();
  }
  broker.hub.identities.setConnected(moduleId, true);
  connection.send({ cmd: 'connack', returnCode: returnCodes.accepted, sessionPresent: present });
  broker.log('debug', `${moduleId} connected`, { sessionPresent: present });
  if (session.has('methods')) broker.invoker.subscribed(moduleId);
  broker.dispatcher.wake(moduleId);
}

/** One and a half times what was asked for, ten minutes at most, and ten minutes when nothing was asked for. */
function keepAliveOf(seconds: number): number {
  return seconds === 0 ? longestKeepAliveMs : Math.min(seconds * 1500, longestKeepAliveMs);
}

function answer(broker: Broker, connection: Connection, returnCode: number, reason: string): void {
  broker.log('warn', `a CONNECT is refused with ${returnCode}: ${reason}`);
  connection.send({ cmd: 'connack', returnCode, sessionPresent: false });
  connection.close();
}
