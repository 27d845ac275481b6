import { EdgeError } from '../../errors.ts';
import type { JsonObject, JsonValue } from '../../hub/hub-api.ts';
import type { VerbContext } from '../verb.ts';

function valueOf(name: string, text: string): JsonValue {
  if (name === 'connack') return text === 'off' || text === 'null' ? null : Number(text);
  if (text === 'on' || text === 'true') return true;
  if (text === 'off' || text === 'false') return false;
  return text;
}

function changeOf(words: readonly string[]): JsonObject {
  const change: JsonObject = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1)
      throw new EdgeError('USAGE', `edge faults takes NAME=VALUE, such as stall=on, not ${word}`);
    const name = word.slice(0, equals);
    change[name] = valueOf(name, word.slice(equals + 1));
  }
  return change;
}

function seconds(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new EdgeError('USAGE', '--token-clock must be a whole number of seconds');
}

/** Does what the flags say, sets the given faults, and prints all of them. */
export async function faults(context: VerbContext): Promise<void> {
  const { args } = context;
  const change = changeOf(args.words);
  const how = args.text('--drop');
  const module = args.text('--module-id');
  const clock = args.text('--token-clock');
  const control = await context.control();
  if (how !== undefined)
    await control.call('POST', '/drop', { how, ...(module === undefined ? {} : { module }) });
  if (args.has('--lose-sessions')) await control.call('POST', '/lose-sessions');
  if (clock !== undefined) await control.call('POST', '/token-clock', { offsetMs: seconds(clock) * 1000 });
  const empty = Object.keys(change).length === 0;
  context.json(await (empty ? control.call('GET', '/faults') : control.call('PUT', '/faults', change)));
}
