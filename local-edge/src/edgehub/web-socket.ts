import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, createWebSocketStream } from 'ws';

type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;

/**
 * MQTT over WebSocket, for the `upgrade` event of the HTTPS server. As in edgeHub the path does not matter, the subprotocol `mqtt` does;
 * false = not for edgeHub.
 */
export function createUpgradeHandler(serve: (stream: Duplex, reset: () => void) => void): UpgradeHandler {
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => 'mqtt',
    perMessageDeflate: false,
  });
  return (request, socket, head) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes('mqtt')) return false;
    server.handleUpgrade(request, socket, head, (webSocket) => {
      const stream = createWebSocketStream(webSocket);
      serve(stream, () => {
        webSocket.terminate();
        stream.destroy();
      });
    });
    return true;
  };
}
