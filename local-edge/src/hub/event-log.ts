import { EventEmitter } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomically } from '../state-file.ts';
import type { Events, UpstreamEvent } from './hub-api.ts';

type Saved = Omit<UpstreamEvent, 'body'> & { readonly body: string };

/** What modules sent INTO $upstream: a bounded ring in memory, and the same events as lines of a file. */
export class EventLog implements Events {
  readonly #file: string;
  readonly #kept: number;
  readonly #emitter = new EventEmitter<{ event: [UpstreamEvent] }>();
  #ring: UpstreamEvent[] = [];
  #linesInFile = 0;
  #next = 0;

  constructor(file: string, kept = 1000) {
    this.#file = file;
    this.#kept = kept;
    this.#emitter.setMaxListeners(0);
    this.#load();
  }

  recent(since = -1): UpstreamEvent[] {
    return this.#ring.filter((event) => event.sequenceNumber > since);
  }

  onEvent(listener: (event: UpstreamEvent) => void): () => void {
    this.#emitter.on('event', listener);
    return () => void this.#emitter.off('event', listener);
  }

  add(event: Omit<UpstreamEvent, 'sequenceNumber'>): void {
    const numbered: UpstreamEvent = { sequenceNumber: this.#next, ...event };
    this.#next += 1;
    this.#ring.push(numbered);
    if (this.#ring.length > this.#kept) this.#ring.shift();
    appendFileSync(this.#file, lineOf(numbered), { mode: 0o600 });
    this.#linesInFile += 1;
    if (this.#linesInFile > this.#kept * 4) this.#compact();
    this.#emitter.emit('event', numbered);
  }

  #load(): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    if (!existsSync(this.#file)) return;
    for (const line of readFileSync(this.#file, 'utf8').split('\n')) {
      const saved = parseLine(line);
      if (saved === undefined) continue;
      this.#ring.push({ ...saved, body: Buffer.from(saved.body, 'base64') });
      this.#next = saved.sequenceNumber + 1;
    }
    this.#ring = this.#ring.slice(-this.#kept);
    this.#compact();
  }

  #compact(): void {
    writeFileAtomically(this.#file, this.#ring.map(lineOf).join(''));
    this.#linesInFile = this.#ring.length;
  }
}

function lineOf(event: UpstreamEvent): string {
  return `${JSON.stringify({ ...event, body: event.body.toString('base64') } satisfies Saved)}\n`;
}

/** A last line cut by the end of a process is no event. */
function parseLine(line: string): Saved | undefined {
  if (line === '') return undefined;
  try {
    return JSON.parse(line) as Saved;
  } catch {
    return undefined;
  }
}
