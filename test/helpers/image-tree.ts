import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, matchesGlob, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { only, readCopy, readStages } from './dockerfile.ts';
import type { Stage } from './dockerfile.ts';

const root = join(import.meta.dirname, '../..');

/** What the last stage of a Dockerfile leaves on top of its base image, with the paths of the image below `folder`. */
export interface ImageTree {
  readonly folder: string;
  readonly bytes: number;
}

/**
 * Carries out Dockerfiles without a container engine: COPY and RUN on a copy of the repository as .dockerignore leaves it. The
 * instructions that two builds begin with are carried out once, as with an engine's layer cache.
 */
export class ImageBuilder {
  readonly #folder: string;
  readonly #layers = new Map<string, readonly string[]>();
  readonly #ignored: readonly string[];

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'image-'));
    this.#ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async build(t: TestContext, dockerfile: string): Promise<ImageTree> {
    const stages = readStages(dockerfile);
    for (const stage of stages.slice(1, -1)) await this.#stage(t, stage, this.#in(stage.name ?? ''));
    const last = stages.at(-1);
    if (last === undefined) throw new Error(`${dockerfile} has no stage`);
    const folder = mkdtempSync(join(this.#folder, 'final-'));
    await this.#stage(t, last, folder);
    return { folder, bytes: await bytesBelow(folder) };
  }

  #in(name: string): string {
    return join(this.#folder, name);
  }

  async #stage(t: TestContext, stage: Stage, folder: string): Promise<void> {
    const workdir = join(folder, only(stage, 'WORKDIR'));
    mkdirSync(workdir, { recursive: true });
    const before = this.#layers.get(folder) ?? [];
    const steps = stage.instructions.map(({ word, text }) => `${word} ${text}`);
    const changed = steps.findIndex((step, index) => step !== before[index]);
    this.#layers.set(folder, steps);
    for (const { word, text } of changed < 0 ? [] : stage.instructions.slice(changed)) {
      if (word === 'COPY') this.#copy(text, folder, workdir);
      // Absolute paths are those of the image.
      if (word === 'RUN') await this.#run(t, text.replaceAll(/ \/(?=\w)/g, ` ${folder}/`), workdir);
    }
  }

  #copy(text: string, folder: string, workdir: string): void {
    const { from, sources, target } = readCopy(text);
    for (const source of sources) {
      const path = from === undefined ? join(root, source) : join(this.#in(from), source);
      if (from === undefined && this.#isIgnored(path))
        throw new Error(`COPY ${text}: .dockerignore leaves it out`);
      const isFolder = statSync(path).isDirectory();
      const place = target.startsWith('/') ? join(folder, target) : join(workdir, target);
      cpSync(path, join(place, isFolder ? '' : basename(source)), {
        recursive: true,
        filter: (file) => from !== undefined || !this.#isIgnored(file),
      });
    }
  }

  #isIgnored(path: string): boolean {
    const name = relative(root, path);
    return this.#ignored.some((pattern) => matchesGlob(name, pattern) || matchesGlob(name, `${pattern}/**`));
  }

  async #run(t: TestContext, command: string, cwd: string): Promise<void> {
    const { code, output } = await shell(command, cwd);
    if (code === 0) return;
    if (
      !command.startsWith('npm ci') ||
      !/E(NOTCACHED|NOTFOUND|AI_AGAIN|CONNREFUSED|TIMEDOUT|CONNRESET)/.test(output)
    )
      throw new Error(`RUN ${command}: exit ${code}\n${output}`);
    t.diagnostic(
      `no package registry answers: instead of "${command}" the packages of this checkout are used`,
    );
    cpSync(join(root, 'node_modules'), join(cwd, 'node_modules'), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}

async function shell(command: string, cwd: string): Promise<{ code: number | null; output: string }> {
  const child = spawn('/bin/sh', ['-c', command], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      npm_config_prefer_offline: 'true',
      npm_config_fetch_retries: '1',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
