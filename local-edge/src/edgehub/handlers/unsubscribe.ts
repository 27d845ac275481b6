import type { IUnsubscribePacket } from 'mqtt-packet';
import type { Broker, ConnectedClient } from '../broker.ts';
import type { Connection } from '../connection.ts';

/** UNSUBSCRIBE: acknowledged also for filters that were never subscribed [MQTT-3.10.4-5]. */
export function handleUnsubscribe(
  broker: Broker,
  connection: Connection,
  client: ConnectedClient,
  packet: IUnsubscribePacket,
): void {
  // [MQTT-3.10.3-2]
  if (packet.unsubscriptions.length === 0) {
    broker.refuse(connection, 'sent UNSUBSCRIBE without a filter');
    return;
  }
  client.session.remove(packet.unsubscriptions);
  connection.send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: [] });
}
