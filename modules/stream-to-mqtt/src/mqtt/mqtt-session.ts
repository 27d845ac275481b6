import type { MqttClient } from 'mqtt';
import type { Clock, TlsFiles } from '@iotedge-redis/common';
import { SuiteError, deadline, errorText } from '@iotedge-redis/common';
import type { BrokerAddress } from './mqtt-address.ts';
import { createLibraryIds } from './message-ids.ts';
import { createFlightStore } from './mqtt-store.ts';
import type { GatheringStream } from './mqtt-stream.ts';
import { openTransport } from './mqtt-transport.ts';

export type Qos = 0 | 1 | 2;

export interface SessionOptions {
  readonly protocol: 5 | 4;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  readonly tls: TlsFiles;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  /** Topic of the retained `online` and `offline`; none without it. */
  readonly statusTopic?: string;
}

/** What the broker allows in one connection. */
export interface SessionLimits {
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
}

export interface Session {
  readonly client: MqttClient;
  readonly stream: GatheringStream;
  readonly address: BrokerAddress;
  readonly limits: SessionLimits;
  /** Settles once, with the reason, when the connection is gone. */
  readonly ended: Promise<string>;
}

/** Why a connection ends is told by several events; the first is the cause, the others are its echo. */
class Reason {
  text = '';
  note(text: string): void {
    if (this.text === '') this.text = text;
  }
}

/** Opens one connection that is never resumed. The MQTT library's reconnecting, queueing and re-sending stay off. */
export async function openSession(
  address: BrokerAddress,
  options: SessionOptions,
  signal: AbortSignal,
  clock: Clock,
): Promise<Session> {
  const { MqttClient, Store } = await import('./mqtt-library.ts');
  const stream = await openTransport(address, options.tls);
  const reason = new Reason();
  stream.on('error', (error) => reason.note(errorText(error)));
  const client = new MqttClient(() => stream, {
    protocolVersion: options.protocol,
    clientId: options.clientId,
    clean: true,
    keepalive: options.keepaliveSeconds,
    reschedulePings: true,
    reconnectPeriod: 0,
    connectTimeout: options.connectTimeoutMs,
    queueQoSZero: false,
    resubscribe: false,
    outgoingStore: createFlightStore(new Store()),
    messageIdProvider: createLibraryIds(),
    log: () => undefined,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.statusTopic === undefined
      ? {}
      : {
          will: {
            topic: options.statusTopic,
            payload: Buffer.from('offline'),
            qos: options.qos === 0 ? 0 : 1,
            retain: true,
          },
        }),
  });
  client.on('error', (error) => reason.note(errorText(error)));
  client.on('disconnect', (packet) =>
    reason.note(`the broker disconnected with reason ${packet.reasonCode ?? 0}`),
  );
  const ended = new Promise<string>((resolve) => {
    client.once('close', () =>
      resolve(reason.text === '' ? 'the broker closed the connection' : reason.text),
    );
  });
  const connected = new Promise<SessionLimits>((resolve, reject) => {
    client.once('connect', (connack) => {
      const problem = unfit(connack.properties, options);
      if (problem === undefined) resolve(limitsOf(connack.properties));
      else reject(new SuiteError('CONFIG_INVALID', problem));
    });
    void ended.then((text) => reject(new SuiteError('INTERNAL', text)));
  });
  try {
    const late = (): SuiteError =>
      new SuiteError('INTERNAL', `no CONNACK within ${options.connectTimeoutMs} ms`);
    const limits = await deadline(connected, options.connectTimeoutMs, signal, late, clock);
    const session: Session = { client, stream, address, limits, ended };
    if (options.statusTopic !== undefined) {
      const told = publishStatus(session, options, 'online');
      const silent = (): SuiteError =>
        new SuiteError('INTERNAL', `no PUBACK within ${options.connectTimeoutMs} ms`);
      await deadline(
        Promise.race([told, connectedOnly(ended)]),
        options.connectTimeoutMs,
        signal,
        silent,
        clock,
      );
    }
    return session;
  } catch (error) {
    client.end(true);
    // A refusal by reason code says more than the time-out or the closing that follows it.
    throw new SuiteError(
      'INTERNAL',
      `connecting to ${address.text}: ${reason.text === '' ? errorText(error) : reason.text}`,
      {
        cause: error,
        retryable: true,
      },
    );
  }
}

function connectedOnly(ended: Promise<string>): Promise<never> {
  return ended.then((text) => Promise.reject(new SuiteError('INTERNAL', text)));
}

/** Answers the reason code with which the broker refused, 0 when it took the message; rejects when it did not answer. */
export function publishStatus(
  session: Session,
  options: Pick<SessionOptions, 'statusTopic' | 'qos'>,
  status: 'online' | 'offline',
): Promise<number> {
  return new Promise((resolve, reject) => {
    if (options.statusTopic === undefined) {
      resolve(0);
      return;
    }
    session.client.publish(
      options.statusTopic,
      status,
      { qos: options.qos === 0 ? 0 : 1, retain: true },
      (error) => {
        if (!error) resolve(0);
        else if ('code' in error && typeof error.code === 'number') resolve(error.code);
        else reject(error);
      },
    );
  });
}

interface ConnackProperties {
  readonly receiveMaximum?: number;
  readonly maximumPacketSize?: number;
  readonly maximumQoS?: number;
  readonly retainAvailable?: boolean;
}

function limitsOf(properties: ConnackProperties | undefined): SessionLimits {
  // MQTT 5, 3.2.2.3: absent means 65,535, and no limit of the packet's size beyond the protocol's.
  return {
    receiveMaximum: properties?.receiveMaximum ?? 65_535,
    maximumPacketSize: properties?.maximumPacketSize ?? 268_435_455,
  };
}

/** A lower QoS or a message that is not retained would be another promise than the one that was asked for. */
function unfit(properties: ConnackProperties | undefined, options: SessionOptions): string | undefined {
  const maximum = properties?.maximumQoS ?? 2;
  if (maximum < options.qos) return `the broker takes QoS ${maximum} at most; set MQTT_QOS to that`;
  if (options.retain && properties?.retainAvailable === false) {
    return 'the broker has no retained messages; set MQTT_RETAIN to false';
  }
  return undefined;
}
