import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { IPublishPacket, Packet } from 'mqtt-packet';
import { generate, parser } from 'mqtt-packet';
import { createCertificates } from '../../local-edge/src/certificates.ts';

export interface Publication {
  readonly topic: string;
  readonly payload: string;
}

/** An MQTT peer that says what a test tells it to, for what a correct edgeHub never says. */
export interface ScriptedEdgeHub {
  /** Environment of a module that connects here with a development connection string. */
  readonly environment: Record<string, string>;
  readonly subscriptions: string[];
  readonly received: Publication[];
  readonly connects: Packet[];
  /** What it does on its own; a test replaces entries. */
  readonly answers: {
    /** Sent right behind CONNACK, before anything is subscribed, as a restored session is. */
    restored: Publication[];
    suback: boolean;
    puback: boolean;
    pingresp: boolean;
    /** The answer to a twin read: status and body, undefined for none. */
    twin: () => [number, string] | undefined;
    /** The answer to a reported patch. */
    reported: () => [number, string] | undefined;
  };
  publish(topic: string, payload: string): void;
  /** Reads no more: a close of the other side is not even noticed. */
  freeze(): void;
  /** The first publication that fits, now or later. */
  seen(start: string): Promise<Publication>;
  stop(): Promise<void>;
}

export const TWIN_READ = '$iothub/twin/GET/';
export const REPORTED_PATCH = '$iothub/twin/PATCH/properties/reported/';
export const DESIRED_PATCH = '$iothub/twin/PATCH/properties/desired/';

export async function startScriptedEdgeHub(): Promise<ScriptedEdgeHub> {
  const folder = await mkdtemp(join(tmpdir(), 'scripted-'));
  const certificates = await createCertificates(folder);
  const sockets = new Set<Socket>();
  const waiting: { start: string; resolve: (publication: Publication) => void }[] = [];
  const subscriptions: string[] = [];
  const received: Publication[] = [];
  const connects: Packet[] = [];
  const answers: ScriptedEdgeHub['answers'] = {
    restored: [],
    suback: true,
    puback: true,
    pingresp: true,
    twin: () => [200, '{"desired":{"$version":1},"reported":{"$version":1}}'],
    reported: () => [204, ''],
  };

  const send = (socket: Socket, packet: Packet): void => void socket.write(generate(packet));
  const publishTo = (socket: Socket, { topic, payload }: Publication): void =>
    send(socket, { cmd: 'publish', qos: 0, dup: false, retain: false, topic, payload });

  function take(socket: Socket, packet: IPublishPacket): void {
    const publication = { topic: packet.topic, payload: packet.payload.toString() };
    received.push(publication);
    if (packet.qos === 1 && answers.puback) send(socket, { cmd: 'puback', messageId: packet.messageId ?? 0 });
    const answer = packet.topic.startsWith(TWIN_READ)
      ? answers.twin()
      : packet.topic.startsWith(REPORTED_PATCH)
        ? answers.reported()
        : undefined;
    if (answer !== undefined) {
      const rid = packet.topic.slice(packet.topic.indexOf('?'));
      publishTo(socket, { topic: `$iothub/twin/res/${answer[0]}/${rid}`, payload: answer[1] });
    }
    for (const one of waiting) if (packet.topic.startsWith(one.start)) one.resolve(publication);
  }

  const server = createServer(
    { cert: certificates.serverCertPem, key: certificates.serverKeyPem },
    (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      const packets = parser();
      packets.on('packet', (packet) => {
        if (packet.cmd === 'connect') {
          connects.push(packet);
          send(socket, { cmd: 'connack', returnCode: 0, sessionPresent: answers.restored.length > 0 });
          for (const publication of answers.restored) publishTo(socket, publication);
        } else if (packet.cmd === 'subscribe') {
          subscriptions.push(...packet.subscriptions.map(({ topic }) => topic));
          if (!answers.suback) return;
          send(socket, {
            cmd: 'suback',
            messageId: packet.messageId ?? 0,
            granted: packet.subscriptions.map(() => 0),
          });
        } else if (packet.cmd === 'pingreq') {
          if (answers.pingresp) send(socket, { cmd: 'pingresp' });
        } else if (packet.cmd === 'publish') take(socket, packet);
        else if (packet.cmd === 'disconnect') socket.end();
      });
      socket.on('data', (chunk: Buffer) => void packets.parse(chunk));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    environment: {
      EdgeHubConnectionString: `HostName=hub.local;GatewayHostName=localhost:${port};DeviceId=d;ModuleId=m;SharedAccessKey=YWI=`,
      EdgeModuleCACertificateFile: certificates.caFile,
    },
    subscriptions,
    received,
    connects,
    answers,
    publish(topic, payload) {
      for (const socket of sockets) publishTo(socket, { topic, payload });
    },
    freeze() {
      for (const socket of sockets) socket.pause();
    },
    seen(start) {
      const known = received.find(({ topic }) => topic.startsWith(start));
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve) => waiting.push({ start, resolve }));
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}
