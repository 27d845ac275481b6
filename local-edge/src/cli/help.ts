import type { Flag } from './args.ts';
import type { Verb } from './verb.ts';
import { stateFlag, verbs } from './verbs.ts';

const START = 'Start the device, its IoT Hub and the modules of a deployment template';

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}

function flagRow(flag: Flag): readonly [string, string] {
  const value = flag.value === undefined ? '' : ` ${flag.value}${flag.many === true ? '...' : ''}`;
  return [`${flag.names.join(', ')}${value}`, flag.required === true ? `${flag.help} (required)` : flag.help];
}

/** The list of verbs. */
export function overview(): string {
  const rows: (readonly [string, string])[] = [
    ['start', START],
    ...verbs.map((verb) => [[verb.name, ...(verb.words ?? [])].join(' '), verb.summary] as const),
  ];
  return (
    'edge: an IoT Edge device and its IoT Hub on this machine\n\n' +
    `Usage: edge VERB [flags]\n\n${table(rows)}\n\n` +
    'edge VERB --help tells more; edge --version prints the version.\n'
  );
}

export function verbHelp(verb: Verb): string {
  const flags = [...verb.flags, stateFlag, { names: ['--help', '-h'], help: 'this text' } satisfies Flag];
  return (
    `${verb.summary}\n\nUsage: ${['edge', verb.name, ...(verb.words ?? []), '[flags]'].join(' ')}\n\n` +
    `${table(flags.map(flagRow))}\n${verb.notes === undefined ? '' : `\n${verb.notes}\n`}`
  );
}
