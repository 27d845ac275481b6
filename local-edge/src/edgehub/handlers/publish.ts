import type { IPublishPacket } from 'mqtt-packet';
import type { Broker, ConnectedClient } from '../broker.ts';
import type { Connection } from '../connection.ts';
import { eventMessage } from '../message.ts';
import { parsePublication } from '../topics.ts';

/** PUBLISH: telemetry, twin operations and method replies. The PUBACK follows once the message is routed and stored. */
export function handlePublish(
  broker: Broker,
  connection: Connection,
  client: ConnectedClient,
  packet: IPublishPacket,
): void {
  if (packet.qos === 2) {
    broker.refuse(connection, `published with QoS 2 to ${packet.topic}; edgeHub takes 0 and 1`);
    return;
  }
  const { moduleId } = client;
  const publication = parsePublication(packet.topic, broker.hub.deviceId, moduleId);
  if (publication.kind === 'malformed') {
    broker.refuse(connection, `published to ${packet.topic}, which ${publication.reason}`);
    return;
  }
  broker.hub.identities.touch(moduleId);
  const payload = Buffer.from(packet.payload);
  switch (publication.kind) {
    case 'event':
      try {
        broker.router.route(eventMessage(moduleId, publication.properties, payload));
      } catch (error) {
        // no PUBACK and a closed connection: the sender tries again later
        const reason = error instanceof Error ? error.message : 'unknown reason';
        broker.refuse(connection, `published to ${packet.topic}, which cannot be stored: ${reason}`);
        return;
      }
      break;
    case 'twinGet':
      broker.twins.get(connection, moduleId, publication.requestId);
      break;
    case 'twinPatch':
      broker.twins.patchReported(connection, moduleId, publication.requestId, payload);
      break;
    case 'methodReply':
      broker.invoker.reply(moduleId, publication.requestId, publication.status, payload);
      break;
    case 'ignored':
      broker.log(
        'warn',
        `${moduleId} published to ${packet.topic}, which ${publication.reason}; it is dropped`,
      );
      break;
  }
  if (packet.qos === 1 && !broker.hub.faults.noPuback) {
    connection.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
  }
}
