import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import mqttPacket from 'mqtt-packet';
import type { IConnackPacket, IPublishPacket, Packet } from 'mqtt-packet';

/** What to do with a PUBLISH: acknowledge it (with a reason code), say nothing, or close the connection. */
export type Answer = number | 'silence' | 'close';

export interface ScriptedBroker {
  readonly port: number;
  readonly url: string;
  /** Every PUBLISH that came, in order, those of the status topic left out. */
  readonly publishes: readonly IPublishPacket[];
  readonly connections: number;
  /** Most PUBLISH packets that were without an answer at one time. */
  readonly mostUnanswered: number;
  answer: (packet: IPublishPacket, broker: ScriptedBroker) => Answer;
  /** False: a CONNECT is not answered. */
  answersConnect: boolean;
  /** Acknowledges what was answered with silence so far. */
  release(): void;
  closeAll(): void;
}

/** A broker that does what no real one can be made to do on demand: withhold, refuse, close, keep silent. */
export async function startScriptedBroker(
  t: TestContext,
  options: { readonly connack?: IConnackPacket['properties']; readonly protocolVersion?: 4 | 5 } = {},
): Promise<ScriptedBroker> {
  const protocolVersion = options.protocolVersion ?? 5;
  const publishes: IPublishPacket[] = [];
  const sockets = new Set<Socket>();
  let withheld: { readonly socket: Socket; readonly messageId: number }[] = [];
  let connections = 0;
  let mostUnanswered = 0;
  const send = (socket: Socket, packet: Packet): void =>
    void socket.write(mqttPacket.generate(packet, { protocolVersion }));
  const acknowledge = (socket: Socket, messageId: number, reasonCode: number): void =>
    send(socket, { cmd: 'puback', messageId, ...(protocolVersion === 5 ? { reasonCode } : {}) });

  const server = createServer((socket) => {
    sockets.add(socket);
    connections += 1;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      withheld = withheld.filter((one) => one.socket !== socket);
    });
    const parser = mqttPacket.parser({ protocolVersion });
    socket.on('data', (data) => parser.parse(data));
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect' && broker.answersConnect) {
        send(socket, {
          cmd: 'connack',
          sessionPresent: false,
          ...(protocolVersion === 5
            ? { reasonCode: 0, properties: options.connack ?? {} }
            : { returnCode: 0 }),
        });
      }
      if (packet.cmd === 'pingreq') send(socket, { cmd: 'pingresp' });
      if (packet.cmd !== 'publish') return;
      const messageId = packet.messageId ?? 0;
      if (packet.topic.endsWith('/status')) {
        acknowledge(socket, messageId, 0);
        return;
      }
      publishes.push(packet);
      const answer = broker.answer(packet, broker);
      if (answer === 'close') socket.destroy();
      else if (answer === 'silence') {
        withheld.push({ socket, messageId });
        mostUnanswered = Math.max(mostUnanswered, withheld.length);
      } else acknowledge(socket, messageId, answer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const broker: ScriptedBroker = {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    publishes,
    get connections() {
      return connections;
    },
    get mostUnanswered() {
      return mostUnanswered;
    },
    answer: () => 0,
    answersConnect: true,
    release() {
      const all = withheld;
      withheld = [];
      for (const { socket, messageId } of all) acknowledge(socket, messageId, 0);
    },
    closeAll() {
      for (const socket of sockets) socket.destroy();
    },
  };
  return broker;
}
