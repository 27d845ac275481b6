import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import mqtt, { type IConnackPacket, type IPublishPacket, type Packet } from 'mqtt-packet';
import { sasToken, type EdgeBed } from './edge-hub-bed.ts';

/** An MQTT client that does nothing by itself: packets in, packets out, no acknowledgement unless told. */
export class RawMqtt {
  readonly received: Packet[] = [];
  readonly socket: TLSSocket;
  /** How the connection ended; undefined while it is open. */
  ended: 'fin' | 'rst' | undefined;
  #lastId = 0;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    const parser = mqtt.parser();
    parser.on('packet', (packet) => void this.received.push(packet));
    socket.on('data', (chunk: Buffer) => void parser.parse(chunk));
    socket.on('end', () => (this.ended ??= 'fin'));
    socket.on('error', () => (this.ended = 'rst'));
    socket.on('close', () => (this.ended ??= 'fin'));
  }

  send(packet: Packet): void {
    this.socket.write(mqtt.generate(packet));
  }

  async waitFor<T extends Packet['cmd']>(
    cmd: T,
    fits: (packet: Extract<Packet, { cmd: T }>) => boolean = () => true,
    ms = 3000,
  ): Promise<Extract<Packet, { cmd: T }>> {
    const end = Date.now() + ms;
    for (;;) {
      const index = this.received.findIndex(
        (packet) => packet.cmd === cmd && fits(packet as Extract<Packet, { cmd: T }>),
      );
      if (index >= 0) return this.received.splice(index, 1)[0] as Extract<Packet, { cmd: T }>;
      if (Date.now() > end) throw new Error(`no ${cmd} within ${ms} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async waitForEnd(ms = 3000): Promise<'fin' | 'rst'> {
    const end = Date.now() + ms;
    while (this.ended === undefined) {
      if (Date.now() > end) throw new Error(`the connection is still open after ${ms} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.ended;
  }

  async subscribe(topic: string, qos: 0 | 1 | 2 = 0): Promise<number> {
    const messageId = this.nextId();
    this.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos }] });
    const suback = await this.waitFor('suback', (packet) => packet.messageId === messageId);
    return suback.granted[0] as number;
  }

  /** With QoS 1 it waits for the PUBACK. */
  async publish(topic: string, payload: string | Buffer = '', qos: 0 | 1 | 2 = 0): Promise<void> {
    const messageId = this.nextId();
    const packet = { cmd: 'publish' as const, topic, payload, dup: false, retain: false };
    this.send(qos === 0 ? { ...packet, qos } : { ...packet, qos, messageId });
    if (qos === 1) await this.waitFor('puback', (reply) => reply.messageId === messageId);
  }

  publication(fits: (packet: IPublishPacket) => boolean = () => true, ms?: number): Promise<IPublishPacket> {
    return this.waitFor('publish', fits, ms);
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

export interface RawConnectOptions {
  readonly clientId?: string;
  readonly username?: string;
  readonly password?: string;
  readonly clean?: boolean;
  readonly keepalive?: number;
  readonly protocolVersion?: 4 | 5;
  readonly will?: { topic: string; payload: Buffer };
}

/** TLS only; CONNECT is for the caller. */
export async function openRaw(bed: EdgeBed, host = '127.0.0.1'): Promise<RawMqtt> {
  const socket = connect({
    host,
    port: bed.edgeHub.port,
    servername: 'localhost',
    ca: bed.certificates.caPem,
  });
  const raw = new RawMqtt(socket);
  bed.before(() => {
    socket.destroy();
    return Promise.resolve();
  });
  await once(socket, 'secureConnect');
  return raw;
}

/** Connects as a module and answers the CONNACK too. */
export async function connectRaw(
  bed: EdgeBed,
  moduleId: string,
  options: RawConnectOptions = {},
): Promise<{ raw: RawMqtt; connack: IConnackPacket }> {
  bed.hub.identities.add(moduleId);
  const raw = await openRaw(bed);
  raw.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: options.protocolVersion ?? 4,
    clean: options.clean ?? false,
    keepalive: options.keepalive ?? 60,
    clientId: options.clientId ?? `dev1/${moduleId}`,
    username: options.username ?? `localhost/dev1/${moduleId}/?api-version=2021-04-12`,
    password: Buffer.from(options.password ?? sasToken(bed, moduleId)),
    ...(options.will === undefined ? {} : { will: { ...options.will, qos: 0 as const, retain: false } }),
  });
  return { raw, connack: await raw.waitFor('connack') };
}
