import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { SuiteError } from '@iotedge-redis/common';
import type { BrokerAddress } from './mqtt-address.ts';
import { GatheringStream } from './mqtt-stream.ts';

export interface BrokerTls {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
}

/**
 * Opens the byte stream to a broker. TCP_NODELAY is set: with Nagle's algorithm an acknowledgement that the peer delays holds
 * up the next packet by 40 ms. Files are read at each connect, so that renewed certificates are used without a restart.
 */
export async function openTransport(address: BrokerAddress, tls: BrokerTls): Promise<GatheringStream> {
  return new GatheringStream(await openSocket(address, tls));
}

async function openSocket(address: BrokerAddress, tls: BrokerTls): Promise<Duplex> {
  const { host, port, kind } = address;
  if (kind === 'tcp') {
    const socket = connectTcp({ host, port, noDelay: true });
    return socket.setKeepAlive(true, 15_000);
  }
  if (kind === 'tls') {
    const servername = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
    const socket = connectTls({
      host,
      port,
      ...material(tls),
      ...(servername === undefined ? {} : { servername }),
    });
    return socket.setNoDelay(true).setKeepAlive(true, 15_000);
  }
  const { WebSocket, createWebSocketStream } = await import('ws');
  const authority = host.includes(':') ? `[${host}]` : host;
  const socket = new WebSocket(`${kind}://${authority}:${port}${address.path}`, ['mqtt'], {
    perMessageDeflate: false,
    ...(kind === 'wss' ? material(tls) : {}),
    ...(kind === 'wss' && tls.serverName !== undefined ? { servername: tls.serverName } : {}),
  });
  return createWebSocketStream(socket);
}

function material(tls: BrokerTls): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ...(tls.caFile === undefined ? {} : { ca: readPem('MQTT_CA_FILE', tls.caFile) }),
    ...(tls.certFile === undefined ? {} : { cert: readPem('MQTT_CERT_FILE', tls.certFile) }),
    ...(tls.keyFile === undefined ? {} : { key: readPem('MQTT_KEY_FILE', tls.keyFile) }),
  };
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SuiteError(
      'CONFIG_INVALID',
      `reading ${name}: cannot read the file ${path}; check the path and its permissions`,
      {
        cause,
      },
    );
  }
}
