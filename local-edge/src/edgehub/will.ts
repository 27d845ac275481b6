import type { Broker } from './broker.ts';
import type { Connection } from './connection.ts';
import { eventMessage } from './message.ts';
import { parsePublication } from './topics.ts';

/** A will is telemetry with a mark of its own; one with another topic is dropped. */
export function publishWill(broker: Broker, moduleId: string, will: NonNullable<Connection['will']>): void {
  const publication = parsePublication(will.topic, broker.hub.deviceId, moduleId);
  if (publication.kind !== 'event') {
    broker.log(
      'warn',
      `the will of ${moduleId} for ${will.topic} is dropped: that is no topic for telemetry`,
    );
    return;
  }
  const { system, application } = publication.properties;
  const properties = { system, application: { ...application, 'iothub-MessageType': 'Will' } };
  try {
    broker.router.route(eventMessage(moduleId, properties, will.payload));
  } catch (error) {
    broker.log('error', `the will of ${moduleId} cannot be stored`, { error });
  }
}
