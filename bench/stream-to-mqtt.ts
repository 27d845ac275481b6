/**
 * 200,000 entries of about 100 bytes over 4 streams to mosquitto, at QoS 1 with order kept, against (a) a bare MQTT.js publisher with
 * the same window and no Redis, (b) the original's loop, and one publish at a time without the rest that loop takes. Then what the
 * bridge costs at rest with 1,000 quiet streams, and what discovery over 1,000,000 keys asks of Redis. The bridge runs as its image does.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { connectAsync } from 'mqtt';
import { bundle } from '../build/bundle.ts';
import { startMosquitto } from '../test/helpers/mosquitto.ts';
import { freePort, startRedis } from '../test/helpers/redis.ts';
import { compare, row, type Benchmark, type Contender, type Row } from './harness.ts';
import { imageCommand } from './image-command.ts';
import { usageOf } from './process-usage.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const ENTRIES = Number(process.env['BENCH_ENTRIES'] ?? 200_000);
const SEED_ENTRIES = ENTRIES / 10;
const IDLE_SECONDS = Number(process.env['BENCH_IDLE_SECONDS'] ?? 60);
const KEYS = Number(process.env['BENCH_KEYS'] ?? 1_000_000);
const WINDOW = 256;
const STREAMS = ['bench:0', 'bench:1', 'bench:2', 'bench:3'];
const NOTE = 'x'.repeat(60);

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  progress('building');
  const main = await bundle('stream-to-mqtt');
  const image = imageCommand(join(root, 'modules/stream-to-mqtt/Dockerfile.amd64'));
  const redis = await startRedis(undefined);
  const broker = await startMosquitto(undefined, {
    config: [`max_inflight_messages ${WINDOW}`, 'max_queued_messages 0'],
  });
  const control = new Redis({ port: redis.port, host: '127.0.0.1' });
  const children: ChildProcess[] = [];
  const start = (
    file: string,
    args: readonly string[],
    flags: readonly string[],
    env: Record<string, string>,
  ): ChildProcess => {
    const child = spawn(process.execPath, [...flags, file, ...args], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    children.push(child);
    return child;
  };
  const startBridge = async (
    more: Record<string, string>,
  ): Promise<{ child: ChildProcess; post: (method: string) => Promise<void> }> => {
    const port = await freePort();
    const child = start(main, [], image.flags, {
      ...image.environment,
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: String(redis.port),
      MQTT_BROKER_HOST: '127.0.0.1',
      MQTT_BROKER_PORT: String(broker.port),
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: String(port),
      LOG_LEVEL: 'error',
      ...more,
    });
    while (!(await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok) await sleep(50);
    return {
      child,
      post: async (method) => {
        await fetch(`http://127.0.0.1:${port}/methods/${method}`, { method: 'POST', body: 'null' });
      },
    };
  };

  try {
    for (const stream of STREAMS) await control.xgroup('CREATE', stream, 'mqtt-group', '0', 'MKSTREAM');
    for (const stream of STREAMS) await control.xgroup('CREATE', stream, 'seed', '0', 'MKSTREAM');
    const bridge = await startBridge({
      REDIS_STREAMS: STREAMS.join(','),
      STREAM_AUTO_DISCOVERY: 'false',
      MQTT_WINDOW: String(WINDOW),
    });
    const bare = start(join(root, 'bench/mqtt-publisher.ts'), [broker.url, String(WINDOW)], [], {});
    const startSeed = (shape: 'loop' | 'tight'): ChildProcess =>
      start(join(root, 'bench/seed-bridge.ts'), [String(redis.port), broker.url, shape, ...STREAMS], [], {});
    const [loop, tight] = [startSeed('loop'), startSeed('tight')];
    await Promise.all([bare, loop, tight].map((child) => once(child, 'message')));
    const seedContender = (name: string, child: ChildProcess): Contender => ({
      name,
      pid: () => child.pid,
      async run() {
        await bridge.post('Pause');
        for (const stream of STREAMS) await control.xgroup('SETID', stream, 'seed', '$');
        await fill(control, SEED_ENTRIES);
        const figures = await ask(child, { count: SEED_ENTRIES });
        for (const stream of STREAMS) {
          await control.xgroup('SETID', stream, 'mqtt-group', '$');
          await control.xtrim(stream, 'MAXLEN', 0);
        }
        return figures;
      },
    });
    const payload = JSON.stringify({
      stream: 'bench:0',
      id: '1651234567890-0',
      data: { temperature: '21.5', humidity: '40', note: NOTE },
      timestamp: '2022-04-29T12:16:07.890Z',
    });
    const [ours, a, b, c] = await compare(
      [
        {
          name: 'stream-to-mqtt',
          pid: () => bridge.child.pid,
          async run() {
            await bridge.post('Pause');
            await fill(control, ENTRIES);
            const startedAt = performance.now();
            await bridge.post('Resume');
            await untilDone(control, 'mqtt-group');
            const seconds = (performance.now() - startedAt) / 1000;
            for (const stream of STREAMS) await control.xtrim(stream, 'MAXLEN', 0);
            return { perSecond: ENTRIES / seconds };
          },
        },
        { name: 'bare MQTT.js', pid: () => bare.pid, run: () => ask(bare, { count: ENTRIES, payload }) },
        seedContender("the original's loop", loop),
        seedContender('one at a time, without rest', tight),
      ],
      { warmups: 1, rounds, onProgress: progress },
    );
    if (ours === undefined || a === undefined || b === undefined || c === undefined)
      throw new Error('no figures');
    const rows: Row[] = [
      row('stream-to-mqtt', 'perSecond', 'entries/s', ours, [a, b, c]),
      row('bare MQTT.js', 'perSecond', 'messages/s', a),
      row("the original's loop", 'perSecond', 'entries/s', b),
      row('one at a time, without rest', 'perSecond', 'entries/s', c),
    ];
    progress('order');
    rows.push(single('out of order, of all entries', await outOfOrder(), 'entries'));
    bridge.child.kill('SIGTERM');
    await once(bridge.child, 'exit');
    progress(`${IDLE_SECONDS} s at rest`);
    rows.push(single('at rest with 1,000 quiet streams', await idleShare(), '% of a core'));
    progress(`${KEYS} keys`);
    const calls = await discoveryCalls();
    const at = (share: number): number => calls[Math.floor((calls.length - 1) * share)] ?? Number.NaN;
    rows.push(
      single(`discovery over ${KEYS} keys: 99 of 100 calls within`, at(0.99), 'ms'),
      single(`discovery over ${KEYS} keys: slowest of ${calls.length} calls`, at(1), 'ms'),
    );
    return rows;

    async function outOfOrder(): Promise<number> {
      const subscriber = await connectAsync(broker.url, { protocolVersion: 5 });
      const last = new Map<string, number>();
      let wrong = 0;
      let seen = 0;
      subscriber.on('message', (topic, message) => {
        const { data } = JSON.parse(message.toString()) as { data: { n: string } };
        const n = Number(data.n);
        if (n !== (last.get(topic) ?? -1) + 1) wrong += 1;
        last.set(topic, n);
        seen += 1;
      });
      await subscriber.subscribeAsync('redis/bench/#', { qos: 1 });
      await bridge.post('Pause');
      await fill(control, ENTRIES);
      await bridge.post('Resume');
      await untilDone(control, 'mqtt-group');
      for (let n = 0; n < 100 && seen < ENTRIES; n += 1) await sleep(100);
      await subscriber.endAsync();
      return wrong + ENTRIES - seen;
    }

    async function idleShare(): Promise<number> {
      await control.flushall();
      const pipeline = control.pipeline();
      for (let n = 0; n < 1000; n += 1) pipeline.xadd(`quiet:${n}`, '*', 'n', '1');
      await pipeline.exec();
      const { child } = await startBridge({ MQTT_CLIENT_ID: 'idle' });
      // Every stream is looked at once, half a minute after the start; then they are known to be quiet.
      await sleep(40_000);
      const before = usageOf(child.pid)?.cpuSeconds ?? 0;
      await sleep(IDLE_SECONDS * 1000);
      const after = usageOf(child.pid)?.cpuSeconds ?? 0;
      child.kill('SIGTERM');
      await once(child, 'exit');
      return ((after - before) / IDLE_SECONDS) * 100;
    }

    async function discoveryCalls(): Promise<number[]> {
      await control.flushall();
      for (let from = 0; from < KEYS; from += 10_000) {
        const pipeline = control.pipeline();
        for (let n = from; n < from + 10_000; n += 1) pipeline.set(`key:${n}`, '1');
        await pipeline.exec();
      }
      for (let n = 0; n < 10; n += 1) await control.xadd(`found:${n}`, '*', 'n', '1');
      await control.config('SET', 'slowlog-log-slower-than', '0');
      await control.config('SET', 'slowlog-max-len', '100000');
      await control.slowlog('RESET');
      const { child } = await startBridge({ MQTT_CLIENT_ID: 'discovery', REDIS_RATE_LIMIT: '0' });
      for (let n = 0; n < 600; n += 1) {
        const groups = await Promise.all(
          Array.from({ length: 10 }, (_, at) => control.xinfo('GROUPS', `found:${at}`)),
        );
        if (groups.every((each) => (each as unknown[]).length > 0)) break;
        await sleep(100);
      }
      const log = (await control.slowlog('GET', '100000')) as [number, number, number, string[]][];
      child.kill('SIGTERM');
      await once(child, 'exit');
      return log
        .filter(([, , , [name]]) => name?.toUpperCase() === 'SCAN')
        .map(([, , micros]) => micros / 1000)
        .sort((a, b) => a - b);
    }
  } finally {
    for (const child of children) child.kill('SIGKILL');
    control.disconnect();
    await broker.stop();
    await redis.stop();
  }
};

function single(name: string, value: number, unit: string): Row {
  return { name, median: value, min: value, max: value, unit, ratios: {}, rssMB: null, cpuSeconds: null };
}

async function ask(child: ChildProcess, order: object): Promise<{ perSecond: number }> {
  child.send(order);
  const gone = once(child, 'exit').then(() => Promise.reject(new Error('a contender ended by itself')));
  const [answer] = (await Promise.race([once(child, 'message'), gone])) as [{ perSecond: number }];
  return answer;
}

async function fill(control: Redis, count: number): Promise<void> {
  for (let from = 0; from < count; from += 2000) {
    const pipeline = control.pipeline();
    for (let n = from; n < Math.min(count, from + 2000); n += 1) {
      pipeline.xadd(
        STREAMS[n % 4] ?? '',
        '*',
        'temperature',
        '21.5',
        'humidity',
        '40',
        'note',
        NOTE,
        'n',
        String(Math.floor(n / 4)),
      );
    }
    await pipeline.exec();
  }
}

async function untilDone(control: Redis, group: string): Promise<void> {
  for (;;) {
    const left = await Promise.all(
      STREAMS.map(async (stream) => {
        const groups = (await control.xinfo('GROUPS', stream)) as (string | number)[][];
        const own = groups.find((fields) => fields.includes(group)) ?? [];
        return Number(own[own.indexOf('lag') + 1]) + Number(own[own.indexOf('pending') + 1]);
      }),
    );
    if (left.every((count) => count === 0)) return;
    await sleep(20);
  }
}
