import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomically } from '../../state-file.ts';
import type { RoutedMessage } from '../message.ts';

export interface StoredMessage {
  readonly id: number;
  readonly moduleId: string;
  readonly input: string;
  readonly priority: number;
  /** Milliseconds since 1970; null = never. */
  readonly expires: number | null;
  readonly message: RoutedMessage;
}

type Line =
  { readonly add: Omit<StoredMessage, 'message'> & { readonly message: Saved } } | { readonly done: number };
type Saved = Omit<RoutedMessage, 'body'> & { readonly body: string };

const compactAfter = 2000;

/**
 * The messages that wait for modules, in memory and as an append-only file: one line when a message comes, one when it is delivered
 * or given up. What is appended survives the death of the process.
 */
export class MessageStore {
  readonly #file: string;
  readonly #messages = new Map<number, StoredMessage>();
  #descriptor: number | null = null;
  #lines = 0;
  #lastId = 0;
  #bytes = 0;

  constructor(file: string) {
    this.#file = file;
    this.#load();
  }

  /** Bytes of all bodies that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get all(): readonly StoredMessage[] {
    return [...this.#messages.values()];
  }

  add(message: Omit<StoredMessage, 'id'>): StoredMessage {
    this.#lastId += 1;
    const stored: StoredMessage = { id: this.#lastId, ...message };
    this.#append(addLine(stored));
    this.#messages.set(stored.id, stored);
    this.#bytes += stored.message.body.length;
    return stored;
  }

  remove(id: number): void {
    const stored = this.#messages.get(id);
    if (stored === undefined) return;
    this.#messages.delete(id);
    this.#bytes -= stored.message.body.length;
    this.#append(JSON.stringify({ done: id } satisfies Line));
    if (this.#lines > compactAfter && this.#lines > this.#messages.size * 2) this.#compact();
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #append(line: string): void {
    this.#descriptor ??= openSync(this.#file, 'a', 0o600);
    writeSync(this.#descriptor, `${line}\n`);
    this.#lines += 1;
  }

  #load(): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    if (!existsSync(this.#file)) return;
    for (const text of readFileSync(this.#file, 'utf8').split('\n')) {
      const line = parseLine(text);
      if (line === undefined) continue;
      if ('done' in line) this.#messages.delete(line.done);
      else {
        const { add } = line;
        const body = Buffer.from(add.message.body, 'base64');
        this.#messages.set(add.id, { ...add, message: { ...add.message, body } });
        this.#lastId = Math.max(this.#lastId, add.id);
      }
    }
    for (const { message } of this.#messages.values()) this.#bytes += message.body.length;
    this.#compact();
  }

  #compact(): void {
    this.close();
    writeFileAtomically(this.#file, this.all.map((stored) => `${addLine(stored)}\n`).join(''));
    this.#lines = this.#messages.size;
  }
}

function addLine(stored: StoredMessage): string {
  const message = { ...stored.message, body: stored.message.body.toString('base64') };
  return JSON.stringify({ add: { ...stored, message } } satisfies Line);
}

/** A line cut by the end of a process was not acknowledged to its sender, who sends it again. */
function parseLine(text: string): Line | undefined {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
