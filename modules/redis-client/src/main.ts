import { runModule } from '@iotedge-redis/common';
import { redisClient } from './module.ts';

await runModule(redisClient);
