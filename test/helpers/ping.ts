import { connect } from 'node:net';
import type { EdgeProcess } from './edge-process.ts';
import { operatorLogin } from './operator.ts';

/** Whether the Redis of a local edge answers PING, asked beside all modules. */
export function answersPing(edge: EdgeProcess): Promise<boolean> {
  const { port, username, password } = operatorLogin(edge.stateDir);
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`AUTH ${username} ${password}\r\nPING\r\n`);
    });
    let text = '';
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.split('\r\n').length > 2) answer(text.includes('+PONG'));
    });
    socket.once('error', () => answer(false));
    socket.once('close', () => answer(false));
  });
}
