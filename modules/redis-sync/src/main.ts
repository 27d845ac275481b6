import { runModule } from '@iotedge-redis/common';
import { redisSync } from './module.ts';

await runModule(redisSync);
