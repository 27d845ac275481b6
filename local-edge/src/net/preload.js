// Gives a Node program the names and ports of a container network. Started with `--import preload.js?table=FILE[&module=NAME]
// [&PORT=HOSTPORT]…`: connections to `name:port` of the table go to its loopback port; with `module`, servers on a fixed port get
// a free one (or their host port) on loopback and are entered in the table. Names of the table are never looked up in DNS; TLS
// keeps checking the name that the caller gave, since the options are copied. Unix sockets and port 0 are left alone.
import net from 'node:net';
import { URL } from 'node:url';
import { tableReader, updateTable } from './table-file.js';

const parameters = new URL(import.meta.url).searchParams;
const file = parameters.get('table');
const module = parameters.get('module');

if (file !== null) {
  wrapConnect(tableReader(file));
  if (module !== null) wrapListen(file, module);
}

function wrapConnect(table) {
  const connect = net.Socket.prototype.connect;
  net.Socket.prototype.connect = function (...args) {
    const { options, callback } = connectArguments(args);
    // As net itself does: a path that is null or empty is none.
    if (options === null || options.path || options.port === undefined) {
      return connect.apply(this, args);
    }
    const port = Number(options.port);
    const target = lookUp(table(), String(options.host ?? 'localhost'), port);
    if (target === undefined) return connect.apply(this, args);
    if (target === 0) return refuse(this, options.host, port, callback);
    return connect.call(this, { ...options, host: '127.0.0.1', port: target, family: 4 }, callback);
  };
}

// net's own callers pass one array of [options, callback] that is already in order.
function connectArguments(args) {
  if (Array.isArray(args[0])) return { options: args[0][0], callback: args[0][1] ?? undefined };
  const last = args.at(-1);
  const callback = typeof last === 'function' ? last : undefined;
  const [first, second] = args;
  if (typeof first === 'object' && first !== null) return { options: first, callback };
  // A string that is no number is the path of a Unix socket.
  if (first === undefined || first === '' || Number.isNaN(Number(first))) return { options: null, callback };
  return { options: { port: first, ...(typeof second === 'string' ? { host: second } : {}) }, callback };
}

function lookUp(table, host, port) {
  const name = host.toLowerCase();
  if (isLoopback(name)) {
    // In a container, localhost is the container itself.
    const own =
      module === null ? undefined : (table[`${module}/localhost:${port}`] ?? table[`${module}:${port}`]);
    return own ?? table[`localhost:${port}`];
  }
  const exact = table[`${host}:${port}`] ?? table[`${name}:${port}`];
  if (exact !== undefined) return exact;
  for (const key of Object.keys(table)) {
    if (key.toLowerCase() === `${name}:${port}`) return table[key];
  }
  // A name that exists refuses on the ports where nobody listens.
  return table[`${host}:*`] ?? table[`${name}:*`];
}

function refuse(socket, host, port, callback) {
  if (callback !== undefined) socket.once('connect', callback);
  socket.connecting = true;
  const error = Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), {
    errno: -111,
    code: 'ECONNREFUSED',
    syscall: 'connect',
    address: host,
    port,
  });
  process.nextTick(() => {
    socket.connecting = false;
    socket.destroy(error);
  });
  return socket;
}

function isLoopback(host) {
  return host === 'localhost' || host === '::1' || host === '[::1]' || host.startsWith('127.');
}

function wrapListen(file, module) {
  const listen = net.Server.prototype.listen;
  const taken = new Set();
  net.Server.prototype.listen = function (...args) {
    const { options, callback } = listenArguments(args);
    const port = options === null ? 0 : Number(options.port);
    if (!Number.isInteger(port) || port <= 0) return listen.apply(this, args);
    if (taken.has(port)) return busy(this, options.host, port);
    taken.add(port);
    const name = isLoopback(String(options.host ?? '').toLowerCase()) ? `${module}/localhost` : module;
    const hostPort = Number(parameters.get(String(port)) ?? 0);
    this.once('close', () => {
      taken.delete(port);
      updateTable(file, (table) => delete table[`${name}:${port}`]);
    });
    this.prependOnceListener('listening', () => {
      const address = net.Server.prototype.address.call(this);
      updateTable(file, (table) => (table[`${name}:${port}`] = address.port));
      // The program sees the port that it asked for, as it would in its container.
      this.address = () => {
        const now = net.Server.prototype.address.call(this);
        return now === null ? null : { ...now, port };
      };
    });
    this.once('error', () => {
      if (!this.listening) taken.delete(port);
    });
    return listen.call(this, { ...options, port: hostPort, host: '127.0.0.1' }, callback);
  };
}

function listenArguments(args) {
  const last = args.at(-1);
  const callback = typeof last === 'function' ? last : undefined;
  const [first, second] = args;
  if (typeof first === 'object' && first !== null) {
    const plain = first.port !== undefined && !first.path && first.fd === undefined;
    return { options: plain ? first : null, callback };
  }
  if (first === undefined || first === null || Number.isNaN(Number(first)))
    return { options: null, callback };
  const backlog = args.slice(1, 3).find((arg) => typeof arg === 'number');
  return {
    options: {
      port: first,
      ...(typeof second === 'string' ? { host: second } : {}),
      ...(backlog === undefined ? {} : { backlog }),
    },
    callback,
  };
}

function busy(server, host, port) {
  const error = Object.assign(
    new Error(`listen EADDRINUSE: address already in use ${host ?? '::'}:${port}`),
    {
      errno: -98,
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: host ?? '::',
      port,
    },
  );
  process.nextTick(() => server.emit('error', error));
  return server;
}
