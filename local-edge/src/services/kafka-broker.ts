import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { freePort } from '../net/free-port.ts';
import { lastLine, runCommand } from './command.ts';
import type { KafkaProgram } from './find-kafka.ts';

/** One address on which the broker listens, on loopback. */
export interface BrokerListener {
  /** Upper-case letters, unique. */
  readonly name: string;
  readonly port: number;
  /** The port that clients are sent to, when a proxy stands in front. */
  readonly advertisedPort?: number;
  /** `PLAINTEXT` by default; others need settings of their own. */
  readonly protocol?: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
}

export interface BrokerOptions {
  readonly kafka: KafkaProgram;
  /** Data and configuration; survives a restart. */
  readonly folder: string;
  /** The first one is also the broker's own. */
  readonly listeners: readonly BrokerListener[];
  /** Settings of server.properties that replace or add to those of `settings`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** More words for `kafka-storage format`, as in `--add-scram`, `SCRAM-SHA-256=[…]`. */
  readonly formatArguments?: readonly string[];
  /** As Java writes it; 256m by default. */
  readonly heap?: string;
}

const startMs = 90_000;
const stopMs = 20_000;
const host = '127.0.0.1';

/** Apache Kafka as one node in KRaft mode, a child of this process that does not outlive it. */
export class KafkaBroker {
  readonly #options: BrokerOptions;
  readonly #properties: string;
  #child: ChildProcess | undefined;
  #isConfigured = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#properties = join(options.folder, 'server.properties');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when clients can work with it. Formats the data folder first when it is new. */
  async start(signal?: AbortSignal): Promise<void> {
    const { folder, formatArguments = [] } = this.#options;
    if (!this.#isConfigured) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(this.#properties, await settings(this.#options), { mode: 0o600 });
      this.#isConfigured = true;
    }
    if (!existsSync(join(folder, 'data', 'meta.properties'))) {
      const id = randomBytes(16).toString('base64url').replace(/^-/, 'a');
      const words = ['kafka.tools.StorageTool', 'format', '--ignore-formatted', '--cluster-id', id];
      const { command, args, env } = this.#java('96m', [
        ...words,
        ...['--config', this.#properties],
        ...formatArguments,
      ]);
      const formatted = await runCommand(command, args, { env, timeoutMs: startMs });
      if (formatted.code !== 0)
        throw new EdgeError('SERVICE_MISSING', `formatting Kafka's folder: ${lastLine(formatted)}`);
    }
    signal?.throwIfAborted();
    const { command, args, env } = this.#java(this.#options.heap ?? '256m', [
      'kafka.Kafka',
      this.#properties,
    ]);
    const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    endWithParent(child);
    await started(child, signal);
  }

  /** Sends a signal; waits for the end of the process when it is a deadly one. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await exit;
  }

  /** Ends it cleanly, by force when that takes too long. Idempotent. */
  async stop(): Promise<void> {
    // A process that was stopped by SIGSTOP takes no SIGTERM.
    await this.kill('SIGCONT');
    const timer = setTimeout(() => void this.kill('SIGKILL'), stopMs);
    await this.kill('SIGTERM');
    clearTimeout(timer);
  }

  #java(heap: string, words: readonly string[]): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
    const { java, classPath } = this.#options.kafka;
    const log = 'org.slf4j.simpleLogger';
    return {
      command: java.command,
      args: [
        ...[`-Xms${heap}`, `-Xmx${heap}`, '-XX:+UseSerialGC', '-XX:-UsePerfData'],
        // The second compiler takes longer over a small broker than it ever gains.
        ...['-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true'],
        `-D${log}.defaultLogLevel=warn`,
        // The one line that says that it is ready is of this level.
        `-D${log}.log.kafka.server.KafkaRaftServer=info`,
        '-Dlog4j2.StatusLogger.level=OFF',
        ...['-cp', classPath],
        ...words,
      ],
      env: { ...process.env, ...java.env },
    };
  }
}

/** Resolves with the line that comes after the broker has been admitted to its cluster; a port that accepts is not enough. */
function started(child: ChildProcess, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const done = (error?: Error): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      if (error === undefined) resolve();
      else {
        child.kill('SIGKILL');
        reject(error);
      }
    };
    const fail = (why: string): void =>
      done(new EdgeError('SERVICE_MISSING', `Kafka ${why}\n${output.slice(-2000)}`));
    const aborted = (): void => done(new EdgeError('REFUSED', 'Kafka was stopped while it started.'));
    const timer = setTimeout(() => fail(`is not ready after ${startMs / 1000} s`), startMs);
    const keep = (text: string): void => {
      output = (output + text).slice(-4000);
      if (output.includes('Kafka Server started')) done();
    };
    child.stdout?.setEncoding('utf8').on('data', keep);
    child.stderr?.setEncoding('utf8').on('data', keep);
    child.once('error', (error) => fail(`does not start: ${error.message}`));
    child.once('exit', (code, by) => fail(`ended with ${code ?? by ?? 'nothing'}`));
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

/**
 * Java knows nothing of the process that started it. A shell waits on a pipe from this process, which the system closes however this
 * process ends, and ends the broker then.
 */
function endWithParent(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const guard = spawn('/bin/sh', ['-c', 'cat >/dev/null; kill -KILL "$0" 2>/dev/null', String(child.pid)], {
    // Out of the terminal's group: Ctrl+C is not for it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  guard.on('error', () => undefined);
  child.once('exit', () => guard.kill('SIGKILL'));
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** A server.properties for one small node: internal topics with one copy, few threads, groups that form without delay. */
async function settings({ folder, listeners, properties }: BrokerOptions): Promise<string> {
  const controllerPort = await freePort();
  const all = [
    ...listeners.map((one) => ({ protocol: 'PLAINTEXT', ...one })),
    { name: 'CONTROLLER', port: controllerPort, protocol: 'PLAINTEXT' },
  ];
  const values: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@${host}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': listeners[0]?.name ?? '',
    listeners: all.map((one) => `${one.name}://${host}:${one.port}`).join(','),
    'advertised.listeners': listeners
      .map((one) => `${one.name}://${host}:${one.advertisedPort ?? one.port}`)
      .join(','),
    'listener.security.protocol.map': all.map((one) => `${one.name}:${one.protocol}`).join(','),
    'log.dirs': join(folder, 'data'),
    'num.partitions': '3',
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '500',
    'log.cleaner.dedupe.buffer.size': '4194304',
    'log.cleaner.threads': '1',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
    // A lone node that was killed need not wait out its old registration.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    ...properties,
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
