import { runModule } from '@iotedge-redis/common';
import { redisSnapshot } from './module.ts';

await runModule(redisSnapshot);
