/**
 * Runs the official service SDK in a process of its own, as an application would: one JSON command per line on stdin
 * (`{"on": "registry" | "client", "call": NAME, "args": […]}`), one JSON result per line on stdout.
 */
import { createInterface } from 'node:readline';

import iothub from 'azure-iothub';

interface Command {
  readonly on: 'registry' | 'client' | 'query';
  readonly call: string;
  readonly args: readonly unknown[];
}
type Callable = Record<string, (...args: readonly unknown[]) => Promise<unknown>>;

const connectionString = process.env['IOTHUB_CONNECTION_STRING'] ?? '';
const registry: object = iothub.Registry.fromConnectionString(connectionString);
const client: object = iothub.Client.fromConnectionString(connectionString);

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

async function run(command: Command): Promise<unknown> {
  if (command.on === 'query') {
    const [text, pageSize] = command.args;
    const query = iothub.Registry.fromConnectionString(connectionString).createQuery(
      String(text),
      typeof pageSize === 'number' ? pageSize : undefined,
    );
    const pages: unknown[] = [];
    while (query.hasMoreResults) pages.push((await query.nextAsTwin()).result);
    return { result: pages };
  }
  const target = (command.on === 'registry' ? registry : client) as Callable;
  const result = await target[command.call]?.call(target, ...command.args);
  return { result: field(result, 'responseBody') ?? field(result, 'result') ?? result };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer: unknown;
  try {
    answer = await run(JSON.parse(line) as Command);
  } catch (error) {
    answer = {
      error: {
        name: field(error, 'name'),
        message: field(error, 'message'),
        body: field(error, 'responseBody'),
        status: field(field(error, 'response'), 'statusCode'),
      },
    };
  }
  console.log(JSON.stringify(answer));
}
