import type { JsonValue } from '@iotedge-redis/common';
import type { ReplayRequest } from './replay.ts';

/** Most partitions in one answer of IngestStatus, which has to stay below 128 KB. */
const PAGE = 100;
const REPLAY = 100;
const MAX_REPLAY = 1000;
/** Id of an entry of a stream. */
const ENTRY_ID = /^\d{1,20}-\d{1,20}$/;

export interface StatusRequest {
  readonly topic: string | undefined;
  readonly limit: number;
  /** Partitions that were told of before. */
  readonly from: number;
}

/** What is wrong with a payload, as a sentence. */
export interface BadRequest {
  readonly problem: string;
}

/** `null`, or an object with these names and no others. A value that is not as expected is a problem, never left out. */
class Payload {
  problem: string | undefined;
  readonly #given: ReadonlyMap<string, JsonValue>;

  constructor(payload: JsonValue, names: readonly string[]) {
    const given = payload === null || payload === '' ? {} : payload;
    const isObject = typeof given === 'object' && !Array.isArray(given);
    this.#given = new Map(isObject ? Object.entries(given) : []);
    if (!isObject) this.#wrong(`expected no payload, or an object with ${names.join(', ')}`);
    else if ([...this.#given.keys()].some((name) => !names.includes(name)))
      this.#wrong(`unknown name in the payload; expected ${names.join(', ')}`);
  }

  text(name: string): string | undefined {
    return this.#read(name, 'a text', (value) =>
      typeof value === 'string' && value !== '' ? value : undefined,
    );
  }

  match(name: string, pattern: RegExp): string | undefined {
    return this.#read(name, 'the one of the answer before', (value) =>
      typeof value === 'string' && pattern.test(value) ? value : undefined,
    );
  }

  flag(name: string): boolean | undefined {
    return this.#read(name, 'true or false', (value) => (typeof value === 'boolean' ? value : undefined));
  }

  count(name: string, most: number): number | undefined {
    return this.#read(name, `a whole number from 1 to ${most}`, (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most ? value : undefined,
    );
  }

  #read<T>(name: string, expected: string, parse: (value: JsonValue) => T | undefined): T | undefined {
    const value = this.#given.get(name);
    if (value === undefined) return undefined;
    const parsed = parse(value);
    if (parsed === undefined) this.#wrong(`${name}: expected ${expected}`);
    return parsed;
  }

  #wrong(problem: string): void {
    this.problem ??= problem;
  }
}

export function parseStatusRequest(payload: JsonValue): StatusRequest | BadRequest {
  const given = new Payload(payload, ['topic', 'limit', 'continuation']);
  const request = {
    topic: given.text('topic'),
    limit: given.count('limit', PAGE) ?? PAGE,
    from: Number(given.match('continuation', /^\d{1,9}$/) ?? 0),
  };
  return given.problem === undefined ? request : { problem: given.problem };
}

export function parseReplayRequest(payload: JsonValue): ReplayRequest | BadRequest {
  const given = new Payload(payload, ['limit', 'topic', 'onlyIfAbsent', 'continuation']);
  const request = {
    limit: given.count('limit', MAX_REPLAY) ?? REPLAY,
    topic: given.text('topic'),
    onlyIfAbsent: given.flag('onlyIfAbsent') ?? false,
    after: given.match('continuation', ENTRY_ID),
  };
  return given.problem === undefined ? request : { problem: given.problem };
}
