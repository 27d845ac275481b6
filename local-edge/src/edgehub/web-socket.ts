import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, createWebSocketStream } from 'ws';

type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/**
 * MQTT over WebSocket, for the `upgrade` event of the HTTPS server. As in edgeHub the path does not matter, the subprotocol `mqtt` does;
 * any other is refused.
 */
export function createUpgradeHandler(serve: (stream: Duplex, reset: () => void) => void): UpgradeHandler {
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => 'mqtt',
    perMessageDeflate: false,
  });
  return (request, socket, head) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes('mqtt')) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    server.handleUpgrade(request, socket, head, (webSocket) => {
      const stream = createWebSocketStream(webSocket);
      serve(stream, () => {
        webSocket.terminate();
        stream.destroy();
      });
    });
  };
}
