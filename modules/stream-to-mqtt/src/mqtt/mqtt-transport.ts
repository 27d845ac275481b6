import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { readTlsFiles } from '@iotedge-redis/common';
import type { TlsFiles } from '@iotedge-redis/common';
import type { BrokerAddress } from './mqtt-address.ts';
import { GatheringStream } from './mqtt-stream.ts';

/**
 * Opens the byte stream to a broker. TCP_NODELAY is set: with Nagle's algorithm an acknowledgement that the peer delays holds
 * up the next packet by 40 ms. Files are read at each connect, so that renewed certificates are used without a restart.
 */
export async function openTransport(address: BrokerAddress, tls: TlsFiles): Promise<GatheringStream> {
  return new GatheringStream(await openSocket(address, tls));
}

async function openSocket(address: BrokerAddress, tls: TlsFiles): Promise<Duplex> {
  const { host, port, kind } = address;
  if (kind === 'tcp') {
    const socket = connectTcp({ host, port, noDelay: true });
    return socket.setKeepAlive(true, 15_000);
  }
  if (kind === 'tls') {
    const named = isIP(host) === 0 ? { servername: host } : {};
    const socket = connectTls({ host, port, ...named, ...readTlsFiles('MQTT', tls) });
    return socket.setNoDelay(true).setKeepAlive(true, 15_000);
  }
  const { WebSocket, createWebSocketStream } = await import('ws');
  const authority = host.includes(':') ? `[${host}]` : host;
  const socket = new WebSocket(`${kind}://${authority}:${port}${address.path}`, ['mqtt'], {
    perMessageDeflate: false,
    ...(kind === 'wss' ? readTlsFiles('MQTT', tls) : {}),
  });
  return createWebSocketStream(socket);
}
