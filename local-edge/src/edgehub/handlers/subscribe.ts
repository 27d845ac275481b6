import type { ISubscribePacket } from 'mqtt-packet';
import type { Broker, ConnectedClient } from '../broker.ts';
import type { Connection } from '../connection.ts';
import { kindOf } from '../subscriptions.ts';

/** SUBSCRIBE: every filter is granted, at QoS 1 at most; one that edgeHub does not know is granted and never served. */
export function handleSubscribe(
  broker: Broker,
  connection: Connection,
  client: ConnectedClient,
  packet: ISubscribePacket,
): void {
  const { moduleId, session } = client;
  const granted = packet.subscriptions.map(({ topic, qos }) => [topic, qos === 0 ? 0 : 1] as const);
  session.add(granted);
  connection.send({
    cmd: 'suback',
    messageId: packet.messageId ?? 0,
    granted: granted.map(([, qos]) => qos),
  });
  const kinds = new Set(granted.map(([topic]) => kindOf(topic)));
  for (const [topic] of granted) {
    if (kindOf(topic) === undefined) {
      broker.log('info', `${moduleId} subscribed to ${topic}, which edgeHub does not serve`);
    }
  }
  if (kinds.has('methods')) broker.invoker.subscribed(moduleId);
  if (kinds.has('inputs')) broker.dispatcher.wake(moduleId);
}
