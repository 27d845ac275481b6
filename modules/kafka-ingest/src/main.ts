import { runModule } from '@iotedge-redis/common';
import { kafkaIngest } from './module.ts';

await runModule(kafkaIngest);
