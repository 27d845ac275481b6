import { runModule } from '@iotedge-redis/common';
import { streamToMqtt } from './module.ts';

await runModule(streamToMqtt);
