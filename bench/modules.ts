/** All modules as their images start them: time to be up, against `node -e 0`, and resident memory with nothing to do. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../build/bundle.ts';
import { startMosquitto } from '../test/helpers/mosquitto.ts';
import { startRedis } from '../test/helpers/redis.ts';
import type { Benchmark, Row } from './harness.ts';
import { imageCommand } from './image-command.ts';
import { measureIdle, measureStarts } from './module-start.ts';

const root = join(import.meta.dirname, '..');

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  const redis = await startRedis(undefined, { args: ['--appendonly', 'yes'] });
  const mosquitto = await startMosquitto(undefined);
  try {
    const environment = {
      REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
      MQTT_BROKERS: mosquitto.url,
    };
    const names = readdirSync(join(root, 'modules')).filter((name) => name !== 'common');
    const modules = [];
    for (const name of names) {
      progress(`${name}: bundling`);
      const image = imageCommand(join(root, 'modules', name, 'Dockerfile.amd64'));
      modules.push({ name, main: await bundle(name), image, environment });
    }
    const idle: Row[] = [];
    for (const module of modules) {
      progress(`${module.name}: idle`);
      idle.push(await measureIdle(module));
    }
    return [...(await measureStarts(modules, { rounds, progress })), ...idle];
  } finally {
    await mosquitto.stop();
    await redis.stop();
  }
};
