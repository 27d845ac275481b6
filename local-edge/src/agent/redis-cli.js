// A minimal redis-cli for machines where a server was found without its client: sends one command and prints the reply.
// Understands -h, -p, -a, --user, --pass, -n and -x-less commands; anything more needs the real program.
import { Buffer } from 'node:buffer';
import net from 'node:net';
import process from 'node:process';

const valued = {
  '-h': 'host',
  '-p': 'port',
  '-a': 'pass',
  '--pass': 'pass',
  '--user': 'user',
  '-n': 'database',
};
const settings = {
  host: '127.0.0.1',
  port: '6379',
  pass: process.env['REDISCLI_AUTH'],
  user: undefined,
  database: '0',
};
const words = process.argv.slice(2);
while (words[0]?.startsWith('-') === true) {
  const option = words.shift();
  if (option in valued) settings[valued[option]] = words.shift();
  else if (!['--raw', '--no-raw', '--no-auth-warning', '-e'].includes(option))
    fail(`${option} needs the real redis-cli`, 1);
}
if (words.length === 0) fail('a command is needed: this stand-in for redis-cli has no prompt', 1);

const commands = [];
if (settings.pass !== undefined) {
  commands.push(['AUTH', ...(settings.user === undefined ? [] : [settings.user]), settings.pass]);
}
if (settings.database !== '0') commands.push(['SELECT', settings.database]);
commands.push(words);

const socket = net.connect({ host: settings.host, port: Number(settings.port) });
let received = '';
socket.setEncoding('utf8');
socket.on('error', (error) =>
  fail(`Could not connect to Redis at ${settings.host}:${settings.port}: ${error.message}`, 1),
);
socket.on('connect', () => socket.write(commands.map(encode).join('')));
socket.on('data', (chunk) => {
  received += chunk;
  let at = 0;
  for (let index = 0; index < commands.length; index++) {
    const reply = decode(received, at);
    if (reply === null) return;
    at = reply.end;
    if (index === commands.length - 1) {
      process.stdout.write(`${reply.text}\n`);
      socket.end();
    }
  }
});

function encode(command) {
  return `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

function decode(text, at) {
  const lineEnd = text.indexOf('\r\n', at);
  if (lineEnd === -1) return null;
  const kind = text[at];
  const head = text.slice(at + 1, lineEnd);
  const next = lineEnd + 2;
  if (kind === '$' && Number(head) >= 0) {
    // Lengths count bytes; the text is measured until they are used up.
    let end = next;
    for (let bytes = 0; bytes < Number(head); end++) {
      if (end >= text.length) return null;
      bytes += Buffer.byteLength(String.fromCodePoint(text.codePointAt(end)));
      if (text.codePointAt(end) > 0xffff) end++;
    }
    return text.length < end + 2 ? null : { text: text.slice(next, end), end: end + 2 };
  }
  if (kind === '*') {
    const parts = [];
    let end = next;
    for (let index = 0; index < Number(head); index++) {
      const part = decode(text, end);
      if (part === null) return null;
      parts.push(part.text);
      end = part.end;
    }
    return { text: parts.join('\n'), end };
  }
  return { text: kind === '$' ? '' : head, end: next };
}

function fail(message, code) {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
