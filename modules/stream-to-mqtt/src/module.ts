import { systemClock } from '@iotedge-redis/common';
import type { ModuleDefinition } from '@iotedge-redis/common';
import { Bridge } from './bridge/bridge.ts';
import { registerMetrics } from './bridge/bridge-metrics.ts';
import type { Shared } from './bridge/bridge-metrics.ts';
import { noCounts } from './streams/bridged-stream.ts';
import { checkSettings, fields, missingSettings } from './settings.ts';
import type { BridgeSettings } from './settings.ts';

const uses = (Object.keys(fields) as (keyof BridgeSettings)[]).filter((name) => name !== 'logFormat');

/** The module: what it is configured by, which methods it answers, and its one part. */
export const streamToMqtt: ModuleDefinition<typeof fields> = {
  name: 'stream-to-mqtt',
  version: '0.1.0',
  fields,
  check: checkSettings,
  methods: ['BridgeStatus', 'Pause', 'Resume', 'ReplayDeadLetters'],
  build(context) {
    const shared: Shared = { totals: noCounts(), losses: 0 };
    registerMetrics(context.metrics, shared, () => systemClock.now());
    let isWarned = false;
    return [
      {
        name: 'bridge',
        uses: uses,
        // A consumer and a client id are identities: two bridges under one would read and disconnect each other's.
        exclusive: true,
        missing: missingSettings,
        create(settings) {
          if (settings.logFormat !== undefined && !isWarned)
            context.log.warn('LOG_FORMAT is ignored: the format of log lines is fixed');
          isWarned = true;
          return new Bridge(settings, context, shared);
        },
      },
    ];
  },
};
