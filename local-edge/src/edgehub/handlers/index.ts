import type { Packet } from 'mqtt-packet';
import type { Broker } from '../broker.ts';
import type { Connection } from '../connection.ts';
import { handleConnect } from './connect.ts';
import { handlePublish } from './publish.ts';
import { handleSubscribe } from './subscribe.ts';
import { handleUnsubscribe } from './unsubscribe.ts';

/** The dispatch table: what edgeHub does with each packet. */
export function handlePacket(broker: Broker, connection: Connection, packet: Packet): void {
  if (packet.cmd === 'connect') {
    handleConnect(broker, connection, packet);
    return;
  }
  const { client } = connection;
  // [MQTT-3.1.0-1]
  if (client === undefined) {
    broker.refuse(connection, `sent ${packet.cmd.toUpperCase()} before CONNECT`);
    return;
  }
  switch (packet.cmd) {
    case 'publish':
      handlePublish(broker, connection, client, packet);
      break;
    case 'puback':
      connection.acknowledged(packet.messageId ?? 0);
      break;
    case 'subscribe':
      handleSubscribe(broker, connection, client, packet);
      break;
    case 'unsubscribe':
      handleUnsubscribe(broker, connection, client, packet);
      break;
    case 'pingreq':
      connection.send({ cmd: 'pingresp' });
      break;
    case 'disconnect':
      // [MQTT-3.14.4-3] the will is not published
      connection.will = undefined;
      connection.close();
      break;
    case 'connack':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
    case 'suback':
    case 'unsuback':
    case 'pingresp':
    case 'auth':
      broker.refuse(connection, `sent ${packet.cmd.toUpperCase()}, which a client must not send to edgeHub`);
      break;
  }
}
