import type { IUnsubscribePacket } from 'mqtt-packet';
import type { Broker, ConnectedClient } from '../broker.ts';
import type { Connection } from '../connection.ts';

/** UNSUBSCRIBE: acknowledged also for filters that were never subscribed [MQTT-3.10.4-5]. */
export function handleUnsubscribe(
  _broker: Broker,
  connection: Connection,
  client: ConnectedClient,
  packet: IUnsubscribePacket,
): void {
  client.session.remove(packet.unsubscriptions);
  connection.send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: [] });
}
