/**
 * A module as its author would write it against the plain device SDK, configured by its environment alone. It takes one JSON command
 * per line on stdin (`{"id", "do", …}`) and prints one JSON line for each reply (`{"id", …}`) and for each thing that happens to it
 * (`{"event", …}`).
 */
import { createInterface } from 'node:readline';

import iot from 'azure-iot-device';
import type { Message, Twin } from 'azure-iot-device';
import { Mqtt } from 'azure-iot-device-mqtt';

interface Command {
  readonly id: number;
  readonly do: 'send' | 'report' | 'twin' | 'invoke' | 'close';
  readonly output?: string;
  readonly text?: string;
  readonly contentType?: 'application/json';
  readonly properties?: Readonly<Record<string, string>>;
  readonly patch?: object;
  readonly module?: string;
  readonly method?: string;
  readonly payload?: unknown;
}

const client = await iot.ModuleClient.fromEnvironment(Mqtt);
const deviceId = process.env['IOTEDGE_DEVICEID'] ?? '';
let twin: Twin | undefined;

function tell(line: object): void {
  console.log(JSON.stringify(line));
}

/** The SDK gives up at the first refused connection; to open again is for the module. */
async function open(): Promise<void> {
  for (;;) {
    try {
      await client.open();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function listen(): void {
  client.on('error', () => undefined);
  client.on('disconnect', () => void open());
  client.on('inputMessage', (input: string, message: Message) => {
    const properties = Object.fromEntries(
      Array.from({ length: message.properties.count() }, (_, index) => {
        const { key, value } = message.properties.getItem(index);
        return [key, value];
      }),
    );
    tell({ event: 'input', input, text: (message.getData() as Buffer).toString('utf8'), properties });
  });
  client.onMethod('Greet', (request, response) => {
    tell({ event: 'method', payload: request?.payload as unknown });
    void response?.send(207, { greeted: request?.payload as unknown });
  });
}

function messageOf({ text = '', contentType, properties = {} }: Command): Message {
  const message = new iot.Message(text);
  if (contentType !== undefined) {
    message.contentType = contentType;
    message.contentEncoding = 'utf-8';
  }
  for (const [key, value] of Object.entries(properties)) message.properties.add(key, value);
  return message;
}

async function report(patch: object): Promise<void> {
  twin ??= await client.getTwin();
  const reported = twin.properties.reported as {
    update(patch: object, done: (error?: Error) => void): void;
  };
  await new Promise<void>((resolve, reject) => {
    reported.update(patch, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

async function run(command: Command): Promise<unknown> {
  switch (command.do) {
    case 'send':
      if (command.output === undefined) await client.sendEvent(messageOf(command));
      else await client.sendOutputEvent(command.output, messageOf(command));
      return null;
    case 'report':
      await report(command.patch ?? {});
      return null;
    case 'twin':
      twin = await client.getTwin();
      twin.on('properties.desired', (patch: object) => {
        tell({ event: 'desired', patch });
      });
      return { desired: twin.properties.desired as unknown, reported: twin.properties.reported as unknown };
    case 'invoke': {
      const parameters = {
        methodName: command.method ?? '',
        payload: command.payload,
        responseTimeoutInSeconds: 10,
        connectTimeoutInSeconds: 1,
      };
      return client.invokeMethod(deviceId, command.module ?? '', parameters);
    }
    case 'close':
      await client.close();
      return null;
  }
}

listen();
await open();
tell({ event: 'open' });

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  void run(command).then(
    (result) => {
      tell({ id: command.id, result });
      if (command.do === 'close') process.exit(0);
    },
    (error: unknown) => {
      tell({ id: command.id, error: error instanceof Error ? error.message : String(error) });
    },
  );
}
process.exit(0);
