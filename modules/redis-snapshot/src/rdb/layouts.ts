/** Who wrote the file: the two have the same format up to version 11, and number their later types alike but differently. */
export type Family = 'redis' | 'valkey';

/**
 * How a value is laid out, enough of it to find its end: a count of plain bytes, a part that says its own size, or a list of
 * steps that is repeated as often as the length in front of it says.
 */
export type Step = number | readonly Step[];

/** A string with its length, packed or as an integer. */
export const STRING = -1;
/** A length, or a number written as one. */
export const LENGTH = -2;
/** A number in text, behind one byte of length (253 to 255 stand for NaN and the infinities). */
export const DECIMAL = -3;
/** What a module wrote: parts behind an opcode each, up to opcode 0. */
export const MODULE = -4;

/** How most values are laid out. */
export const ONE_STRING: readonly Step[] = [STRING];

const STREAM_ID = 16;
const TIME = 8;

/**
 * `first` and `deleted` ids and the count of entries ever added came with version 2, the consumer's active time with 3, and with 4
 * what is remembered of idempotent producers: duration and limit, for each producer its ids with their entries, and two counts.
 */
function stream(version: 1 | 2 | 3 | 4): readonly Step[] {
  const since2 = (...steps: Step[]): Step[] => (version >= 2 ? steps : []);
  const producer: Step = [STRING, [STRING, LENGTH, LENGTH]];
  const pending: Step = [STREAM_ID, TIME, LENGTH];
  const consumer: Step = [STRING, TIME, ...(version >= 3 ? [TIME] : []), [STREAM_ID]];
  return [
    [STRING, STRING],
    ...[LENGTH, LENGTH, LENGTH],
    ...since2(LENGTH, LENGTH, LENGTH, LENGTH, LENGTH),
    [STRING, LENGTH, LENGTH, ...since2(LENGTH), pending, consumer],
    ...(version >= 4 ? [LENGTH, LENGTH, producer, LENGTH, LENGTH] : []),
  ];
}

interface Layout {
  readonly steps: readonly Step[];
  /** RDB version that brought the type. */
  readonly since: number;
}

const SHARED: Readonly<Record<number, Layout>> = {
  0: { steps: ONE_STRING, since: 1 },
  1: { steps: [[STRING]], since: 1 },
  2: { steps: [[STRING]], since: 1 },
  3: { steps: [[STRING, DECIMAL]], since: 1 },
  4: { steps: [[STRING, STRING]], since: 1 },
  5: { steps: [[STRING, 8]], since: 8 },
  7: { steps: [LENGTH, MODULE], since: 8 },
  9: { steps: ONE_STRING, since: 2 },
  10: { steps: ONE_STRING, since: 2 },
  11: { steps: ONE_STRING, since: 2 },
  12: { steps: ONE_STRING, since: 2 },
  13: { steps: ONE_STRING, since: 4 },
  14: { steps: [[STRING]], since: 7 },
  15: { steps: stream(1), since: 9 },
  16: { steps: ONE_STRING, since: 10 },
  17: { steps: ONE_STRING, since: 10 },
  18: { steps: [[LENGTH, STRING]], since: 10 },
  19: { steps: stream(2), since: 10 },
  20: { steps: ONE_STRING, since: 11 },
  21: { steps: stream(3), since: 11 },
};

/** Hashes whose fields expire: those of the release candidates of 7.4 (22, 23), and those of the release; streams of 8.6. */
const REDIS: Readonly<Record<number, Layout>> = {
  22: { steps: [[LENGTH, STRING, STRING]], since: 12 },
  23: { steps: ONE_STRING, since: 12 },
  24: { steps: [TIME, [LENGTH, STRING, STRING]], since: 12 },
  25: { steps: [TIME, STRING], since: 12 },
  26: { steps: stream(4), since: 13 },
};

const VALKEY: Readonly<Record<number, Layout>> = {
  22: { steps: [[STRING, STRING, TIME]], since: 80 },
};

/** Last version that both families write alike. */
export const LAST_SHARED_VERSION = 11;
export const MODULE_TYPE = 7;
/** A type is a byte. */
export const TYPES = 256;

/** Whether a server whose own version is `version` can know the type. */
export function isTypeKnownTo(family: Family, version: number, type: number): boolean {
  const layout = find(family, type);
  return layout !== undefined && layout.since <= version;
}

/** How values are laid out in files of a family, by type byte; undefined for a type that this module does not know. */
export function layoutsOf(family: Family): readonly (readonly Step[] | undefined)[] {
  return family === 'redis' ? REDIS_LAYOUTS : VALKEY_LAYOUTS;
}

/** A single string, or so many times what `parts` says, behind their number. */
export interface FlatLayout {
  readonly isCounted: boolean;
  readonly parts: readonly number[];
}

/** The layouts in which nothing is nested, by type byte. */
export function flatLayoutsOf(family: Family): readonly (FlatLayout | undefined)[] {
  return family === 'redis' ? REDIS_FLAT : VALKEY_FLAT;
}

function flat(steps: readonly Step[] | undefined): FlatLayout | undefined {
  if (steps === ONE_STRING) return { isCounted: false, parts: [STRING] };
  const [counted] = steps ?? [];
  if (steps?.length !== 1 || typeof counted !== 'object') return undefined;
  const parts = counted.filter((step) => typeof step === 'number');
  const isPlain = parts.every((step) => step !== DECIMAL && step !== MODULE);
  return isPlain && parts.length === counted.length ? { isCounted: true, parts } : undefined;
}

const REDIS_LAYOUTS = Array.from({ length: TYPES }, (_, type) => find('redis', type)?.steps);
const VALKEY_LAYOUTS = Array.from({ length: TYPES }, (_, type) => find('valkey', type)?.steps);
const REDIS_FLAT = REDIS_LAYOUTS.map(flat);
const VALKEY_FLAT = VALKEY_LAYOUTS.map(flat);

function find(family: Family, type: number): Layout | undefined {
  return SHARED[type] ?? (family === 'redis' ? REDIS : VALKEY)[type];
}

/** What a type byte is called in texts. */
export function typeName(type: number): string {
  return NAMES[type] ?? 'unknown';
}

const NAMES: Readonly<Record<number, string>> = {
  0: 'string',
  1: 'list',
  2: 'set',
  3: 'zset',
  4: 'hash',
  5: 'zset',
  7: 'module',
  9: 'hash',
  10: 'list',
  11: 'set',
  12: 'zset',
  13: 'hash',
  14: 'list',
  15: 'stream',
  16: 'hash',
  17: 'zset',
  18: 'list',
  19: 'stream',
  20: 'set',
  21: 'stream',
  22: 'hash with field expiry',
  23: 'hash with field expiry',
  24: 'hash with field expiry',
  25: 'hash with field expiry',
  26: 'stream',
};
