import { EdgeError } from './errors.ts';
import { isFree } from './net/free-port.ts';

export const standardPorts = { edgeHub: 8883, service: 8443, https: 443 } as const;

export interface PortWishes {
  readonly edgeHubPort?: number;
  readonly servicePort?: number;
}

/** The ports to listen on; 0 = any free one. A port that was asked for must be free, a standard one gives way. */
export async function choosePorts(
  wishes: PortWishes,
  say: (line: string) => void,
): Promise<{ readonly edgeHub: number; readonly service: number }> {
  const choose = async (
    asked: number | undefined,
    standard: number,
    what: string,
    flag: string,
  ): Promise<number> => {
    if (asked !== undefined && asked !== 0 && !(await isFree(asked))) {
      throw new EdgeError(
        'PORT_IN_USE',
        `Port ${asked} for ${what} is in use. Free it, or give another with ${flag}.`,
      );
    }
    if (asked !== undefined) return asked;
    if (await isFree(standard)) return standard;
    say(`port ${standard} for ${what} is in use; a free one is taken`);
    return 0;
  };
  return {
    edgeHub: await choose(wishes.edgeHubPort, standardPorts.edgeHub, 'edgeHub (MQTT)', '--edge-hub-port'),
    service: await choose(wishes.servicePort, standardPorts.service, 'the IoT Hub service API', '--port'),
  };
}
