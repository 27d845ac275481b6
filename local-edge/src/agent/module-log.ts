import { EventEmitter, on } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface LogLine {
  /** As Docker stamps it: nine digits of fraction, `Z`. */
  readonly timestamp: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

const longestLine = 16 * 1024;

/** The output of one module, in `logs/<module>.log` and, before that, `logs/<module>.log.1`: two files of bounded size. */
export class ModuleLog {
  readonly file: string;
  readonly #maxBytes: number;
  readonly #lines = new EventEmitter<{ line: [LogLine] }>();
  readonly #rest = { stdout: '', stderr: '' };
  #bytes: number;

  constructor(file: string, maxBytes = 10_000_000) {
    this.file = file;
    this.#maxBytes = maxBytes;
    this.#lines.setMaxListeners(0);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#bytes = existsSync(file) ? statSync(file).size : 0;
  }

  /** Takes output as it comes; what ends no line yet waits for its rest. */
  write(stream: LogLine['stream'], chunk: string): void {
    const lines = (this.#rest[stream] + chunk).split('\n');
    this.#rest[stream] = lines.pop() ?? '';
    for (const line of lines) this.#add(stream, line.replace(/\r$/, ''));
    // Docker cuts such lines, too.
    while (this.#rest[stream].length > longestLine) {
      this.#add(stream, this.#rest[stream].slice(0, longestLine));
      this.#rest[stream] = this.#rest[stream].slice(longestLine);
    }
  }

  /** The process has ended: what is left becomes a line. */
  flush(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#rest[stream] !== '') this.#add(stream, this.#rest[stream]);
      this.#rest[stream] = '';
    }
  }

  /** The lines that are kept, oldest first. */
  read(): LogLine[] {
    return [`${this.file}.1`, this.file].flatMap((file) =>
      existsSync(file) ? readFileSync(file, 'utf8').split('\n').flatMap(parseLine) : [],
    );
  }

  /** The last `tail` lines, then new ones until the signal aborts. Nothing is lost or doubled between the two. */
  async *follow(tail: number | undefined, signal: AbortSignal): AsyncGenerator<LogLine> {
    const abort = new AbortController();
    const stop = () => abort.abort();
    signal.addEventListener('abort', stop, { once: true });
    // Listening starts before the file is read, in the same turn; writing is synchronous, so no line falls in between.
    const news = on(this.#lines, 'line', { signal: abort.signal });
    const kept = this.read();
    try {
      if (signal.aborted) return;
      yield* tail === undefined ? kept : kept.slice(Math.max(0, kept.length - tail));
      for await (const [line] of news as AsyncIterable<[LogLine]>) yield line;
    } catch (error) {
      if (!(error instanceof Error && error.name === 'AbortError')) throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      abort.abort();
    }
  }

  remove(): void {
    rmSync(this.file, { force: true });
    rmSync(`${this.file}.1`, { force: true });
    this.#bytes = 0;
  }

  #add(stream: LogLine['stream'], text: string): void {
    const line = { timestamp: new Date().toISOString().replace('Z', '000000Z'), stream, text };
    const stored = `${line.timestamp} ${stream} ${text}\n`;
    if (this.#bytes > 0 && this.#bytes + stored.length > this.#maxBytes / 2) {
      renameSync(this.file, `${this.file}.1`);
      this.#bytes = 0;
    }
    appendFileSync(this.file, stored, { mode: 0o600 });
    this.#bytes += Buffer.byteLength(stored);
    this.#lines.emit('line', line);
  }
}

function parseLine(stored: string): LogLine[] {
  const match = /^(\S+Z) (stdout|stderr) (.*)$/.exec(stored);
  if (match === null) return [];
  return [
    { timestamp: match[1] ?? '', stream: match[2] === 'stderr' ? 'stderr' : 'stdout', text: match[3] ?? '' },
  ];
}
