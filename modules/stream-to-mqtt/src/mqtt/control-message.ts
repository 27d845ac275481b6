import { publishStatus } from './mqtt-session.ts';
import type { Session, SessionOptions } from './mqtt-session.ts';

/**
 * Shows that a broker works, by something that it is known to take: the status message, or without one a PINGREQ. `passed` is
 * called when it answered; nothing is when it did not.
 */
export function sendControl(
  session: Session,
  options: Pick<SessionOptions, 'statusTopic' | 'qos'>,
  passed: () => void,
): void {
  if (options.statusTopic !== undefined && options.qos > 0) {
    publishStatus(session, options, 'online').then(passed, () => undefined);
    return;
  }
  const pong = (packet: { cmd: string }): void => {
    if (packet.cmd !== 'pingresp') return;
    session.client.off('packetreceive', pong);
    passed();
  };
  session.client.on('packetreceive', pong);
  session.client.sendPing();
}
