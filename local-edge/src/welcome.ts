import { relative } from 'node:path';
import type { LocalEdge } from './runtime.ts';
import { SAMPLE_KEY } from './sample-kafka.ts';

/** What shows a stream's way to the broker; the second line is for a third terminal. */
function streamLines(brokerPort: number): string {
  return `  npx mqtt sub -p ${brokerPort} -t 'redis/#' -v               # what stream-to-mqtt publishes; in a third terminal:
  npx edge exec redis sh /run/cli XADD device:sensor:data '*' temperature 21.5
`;
}

const kafkaLines = {
  starting: `  npx edge invoke-module-method -m redis-client --mn GetItem --mp '"${SAMPLE_KEY}"'   # from the sample Kafka, in a few seconds
`,
  absent: `  npm start -- --kafka          a record from Apache Kafka to Redis (44 MB, fetched once)
`,
};

/** What a newcomer sees when everything runs: what to type next, where things are, how to end it. */
export function welcome(edge: LocalEdge, stateDir: string, cwd: string, ms: number): string {
  const { facts } = edge;
  const modules = edge.agent.list().filter((one) => one.name !== 'edgeAgent' && one.name !== 'edgeHub');
  const width = Math.max(0, ...modules.map((one) => one.name.length));
  const rows = modules.map((one) => {
    const why = one.status === 'running' ? '' : `: ${one.description}`;
    return `  ${one.name.padEnd(width)}  ${one.status}${why}`;
  });
  const near = relative(cwd, stateDir);
  const state = near.startsWith('..') ? stateDir : near;
  // Commands find the folder .edge by themselves, from here upwards.
  const setUp = near === '.edge' ? '' : `  export EDGE_STATE='${stateDir}'\n`;
  const example = modules.find((one) => one.name === 'redis-client') ?? modules[0];
  const first =
    example?.name === 'redis-client'
      ? `  npx edge invoke-module-method -m redis-client --mn SetItem --mp '"ping:pong"'
  npx edge invoke-module-method -m redis-client --mn GetItem --mp '"ping"'
  npx edge module-twin update -m redis-client --desired '{"endpoint":"redis:6379"}'
${edge.sampleKafka === undefined ? '' : kafkaLines[edge.sampleKafka]}
`
      : '';
  const brokerPort = modules.some(({ name }) => name === 'stream-to-mqtt')
    ? edge.table.find('mosquitto', 1883)
    : undefined;
  const streams = brokerPort === undefined ? '' : `${streamLines(brokerPort)}\n`;
  const logs = `npx edge logs ${example?.name ?? 'edgeAgent'}`;
  const https = facts.httpsPort === null ? '' : ` and ${facts.httpsPort}`;
  return `
The local edge is ready (${(ms / 1000).toFixed(1)} s): device ${facts.deviceId}

${rows.join('\n')}

In a second terminal, in this folder:

${setUp}${first}${streams}  ${'npx edge list'.padEnd(28)}  the modules and how they are
  ${logs.padEnd(28)}  what a module prints; files in ${state}/logs

IoT Hub service API: https://localhost:${facts.port}${https}    edgeHub: mqtts://localhost:${facts.edgeHubPort}    all on loopback only
Ctrl+C stops everything; state is kept in ${state}
`;
}
