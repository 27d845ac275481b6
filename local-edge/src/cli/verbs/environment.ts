import type { VerbContext } from '../verb.ts';

/** In single quotes nothing is special but the quote itself. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function exportLine(name: string, value: string): string {
  return `export ${name}=${quote(value)}\n`;
}

/** What service clients need to reach the hub and to trust it. */
export function printServiceEnvironment({ hub, io }: VerbContext): Promise<void> {
  io.stdout(exportLine('IOTHUB_CONNECTION_STRING', hub.serviceConnectionString));
  io.stdout(exportLine('IOTHUB_CONNECTION_STRING_WITH_PORT', hub.serviceConnectionStringWithPort));
  io.stdout(exportLine('IOTHUB_DEVICE_ID', hub.deviceId));
  io.stdout(exportLine('NODE_EXTRA_CA_CERTS', hub.caFile));
  io.stdout(
    '# Python and az: set this for the one command only, since it replaces the list that pip and others use:\n' +
      `# REQUESTS_CA_BUNDLE=${quote(hub.caFile)}\n`,
  );
  if (hub.httpsPort === null) {
    const preload = new URL('../../service-preload.js', import.meta.url);
    preload.search = new URLSearchParams({ host: hub.hostName, port: String(hub.port) }).toString();
    io.stdout(
      '# Port 443 is not bound and the Node service SDK takes no other: this preload redirects it.\n' +
        exportLine('NODE_OPTIONS', `--import=${preload.href}`),
    );
  }
  return Promise.resolve();
}

const STANDARD_PORT = 8883;

export async function printModuleEnvironment(context: VerbContext): Promise<void> {
  const { args, hub, io } = context;
  const control = await context.control();
  const environment = (await control.call(
    'POST',
    `/module-env/${encodeURIComponent(args.words[0] ?? '')}`,
  )) as Record<string, string>;
  for (const [name, value] of Object.entries(environment)) {
    io.stdout(exportLine(name, value));
  }
  if (hub.edgeHubPort !== STANDARD_PORT) {
    io.stderr(
      `edge: edgeHub listens on port ${hub.edgeHubPort}, not on ${STANDARD_PORT}. NODE_OPTIONS above leads Node programs there; the SDKs ` +
        `of other languages fix ${STANDARD_PORT}: for them, free that port and restart the local edge.\n`,
    );
  }
}
