import { choice, flag, list, redisFields } from '@iotedge-redis/common';
import type { SettingsOf } from '@iotedge-redis/common';

export const fields = {
  ...redisFields,
  durability: choice({
    env: 'DURABILITY',
    twin: 'durability',
    choices: ['memory', 'fsync'],
    default: 'memory',
    description:
      '`memory`: a write is confirmed when Redis has it in memory, and on disk as far as its AOF policy goes. `fsync`: confirmed after WAITAOF (Redis 7.2 or newer with AOF).',
  }),
  allowedKeys: list({
    env: 'ALLOWED_KEYS',
    twin: 'allowedKeys',
    default: [],
    live: true,
    description: 'Patterns (`*`, `?`, `[a-z]`, `\\`) of the keys that may be touched; empty means all.',
  }),
  readOnly: flag({
    env: 'READ_ONLY',
    twin: 'readOnly',
    default: false,
    live: true,
    description: 'Refuse every write.',
  }),
};

export type ClientSettings = SettingsOf<typeof fields>;
