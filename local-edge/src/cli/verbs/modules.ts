import type { ExecCommand, ModuleStatus } from '../../control/control-api.ts';
import { columns } from '../table.ts';
import type { VerbContext } from '../verb.ts';

/** The table of `iotedge list`. */
export async function listModules(context: VerbContext): Promise<void> {
  const control = await context.control();
  const modules = (await control.call('GET', '/modules')) as readonly ModuleStatus[];
  const rows = modules.map(({ name, status, description, image }) => [name, status, description, image]);
  context.io.stdout(`${columns([['NAME', 'STATUS', 'DESCRIPTION', 'CONFIG'], ...rows])}\n`);
}

export async function restartModule(context: VerbContext): Promise<void> {
  const name = context.args.words[0] ?? '';
  const control = await context.control();
  await control.call('POST', `/modules/${encodeURIComponent(name)}/restart`);
  context.io.stdout(`${name}\n`);
}

export async function execInModule(context: VerbContext): Promise<number> {
  const [name = '', ...words] = context.args.words;
  const control = await context.control();
  const planned = await control.call('POST', `/modules/${encodeURIComponent(name)}/exec`, { words });
  return context.io.run(planned as ExecCommand);
}

export async function printLogs(context: VerbContext): Promise<void> {
  const { args, io } = context;
  const query = new URLSearchParams({ follow: String(args.has('--follow')) });
  const tail = args.number('--tail');
  if (tail !== undefined) query.set('tail', String(tail));
  const control = await context.control();
  const path = `/logs/${encodeURIComponent(args.words[0] ?? '')}?${query.toString()}`;
  for await (const line of await control.lines(path, io.signal)) io.stdout(`${line}\n`);
}
