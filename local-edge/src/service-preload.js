// Lets unmodified service clients that accept no port (azure-iothub) reach the service API when port 443 is not bound. Started with
// `--import service-preload.js?host=HUB&port=PORT`: HTTPS connections to port 443 of the hub's name go to that port on loopback.
// The certificate is still checked against the name that the client asked for, and the name need not resolve.
import https from 'node:https';
import { URL } from 'node:url';

const parameters = new URL(import.meta.url).searchParams;
const host = (parameters.get('host') ?? '').toLowerCase();
const port = Number(parameters.get('port'));

if (host !== '' && Number.isInteger(port) && port > 0) redirect();

function redirect() {
  const createConnection = https.Agent.prototype.createConnection;
  https.Agent.prototype.createConnection = function (...args) {
    const [options, ...rest] = args;
    if (!isForHub(options)) return createConnection.apply(this, args);
    const servername = options.servername ?? options.host;
    return createConnection.call(this, { ...options, host: '127.0.0.1', port, servername }, ...rest);
  };
}

function isForHub(options) {
  if (typeof options !== 'object' || options === null || options.socketPath) return false;
  return String(options.host ?? '').toLowerCase() === host && Number(options.port ?? 443) === 443;
}
