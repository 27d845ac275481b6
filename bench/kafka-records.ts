/** The records of the benchmark: JSON of about 150 bytes, 20,000 keys, three partitions; the same ones each time. */
export const PARTITIONS = 3;
export const KEYS = 20_000;

export interface BenchRecord {
  readonly partition: number;
  readonly key: string;
  readonly value: string;
}

export function benchRecord(n: number): BenchRecord {
  // A step that has no factor in common with the number of keys visits all of them.
  const key = (n * 7919) % KEYS;
  return { partition: key % PARTITIONS, key: `battery:${key}`, value: valueOf(key, n) };
}

function valueOf(key: number, n: number): string {
  return JSON.stringify({
    battery_id: key,
    timestamp: 1_700_000_000_000 + n,
    voltage: 380 + (n % 400) / 10,
    current: -20 + (n % 300) / 10,
    soc: n % 101,
    temperature: 15 + (n % 250) / 10,
    state: n % 2 === 0 ? 'charging' : 'discharging',
    site: 'site-07',
  });
}
