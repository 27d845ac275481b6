import type { ModuleDefinition } from '@iotedge-redis/common';
import { Ingest } from './ingest.ts';
import type { Shared } from './ingest-metrics.ts';
import { registerMetrics } from './ingest-metrics.ts';
import { noCounts } from './lane/lane-counters.ts';
import { checkSettings, fields, missingSettings } from './settings.ts';
import type { IngestSettings } from './settings.ts';

const uses = Object.keys(fields) as (keyof IngestSettings)[];

/** The module: what it is configured by, which methods it answers, and its one part. */
export const kafkaIngest: ModuleDefinition<typeof fields> = {
  name: 'kafka-ingest',
  version: '0.1.0',
  fields,
  check: checkSettings,
  methods: ['IngestStatus', 'Pause', 'Resume', 'ReplayDeadLetters'],
  build(context) {
    const shared: Shared = { totals: noCounts(), isPaused: false };
    registerMetrics(context.metrics, shared);
    return [
      {
        name: 'ingest',
        uses,
        // Two consumers of one instance would share its partitions: the old one leaves the group before the new one joins.
        exclusive: true,
        missing: missingSettings,
        create: (settings) => new Ingest(settings, context, shared),
      },
    ];
  },
};
