/**
 * One way to measure for all modules: every contender is warmed up, then all run in turn, several times (A B A B …), so that a
 * machine that speeds up or slows down does so for all of them. Ratios are taken pair by pair, within one round.
 */
import { median } from './statistics.ts';
import { usageOf, type Usage } from './process-usage.ts';

/** One number that a run of a contender yields, by name: `calls/s`, `p99` … */
export type Figures = Readonly<Record<string, number>>;

export interface Contender {
  readonly name: string;
  run(): Promise<Figures>;
  /** The process whose memory and processor time count, when it is not this one's. */
  pid?(): number | undefined;
}

export interface Series {
  readonly contender: string;
  /** Figures of each counted round, by figure name. */
  readonly rounds: readonly Figures[];
  readonly usage: Usage | undefined;
}

export interface CompareOptions {
  readonly warmups: number;
  readonly rounds: number;
  onProgress?: (text: string) => void;
}

export async function compare(contenders: readonly Contender[], options: CompareOptions): Promise<Series[]> {
  const collected = new Map<string, Figures[]>(contenders.map((c) => [c.name, []]));
  const before = new Map<string, Usage | undefined>();
  for (let round = -options.warmups; round < options.rounds; round++) {
    if (round === 0) for (const c of contenders) before.set(c.name, usageOf(c.pid?.()));
    for (const contender of contenders) {
      options.onProgress?.(
        round < 0
          ? `${contender.name}: warm-up`
          : `${contender.name}: round ${round + 1} of ${options.rounds}`,
      );
      const figures = await contender.run();
      if (round >= 0) collected.get(contender.name)?.push(figures);
    }
  }
  return contenders.map((contender) => {
    const start = before.get(contender.name);
    const end = usageOf(contender.pid?.());
    const usage =
      start && end
        ? { peakRssMb: end.peakRssMb, cpuSeconds: Math.max(0, end.cpuSeconds - start.cpuSeconds) }
        : undefined;
    return { contender: contender.name, rounds: collected.get(contender.name) ?? [], usage };
  });
}

export interface Row {
  readonly name: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  /** Median of the pairwise ratios ours / baseline, by the baseline's name. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly rssMB: number | null;
  readonly cpuSeconds: number | null;
}

/** A benchmark yields its rows; the row named after the module is ours. */
export type Benchmark = (options: { rounds: number; progress: (text: string) => void }) => Promise<Row[]>;

/** A row for one figure of one contender; the ratios are against each of the baselines. */
export function row(
  name: string,
  figure: string,
  unit: string,
  ours: Series,
  baselines: readonly Series[] = [],
): Row {
  const values = ours.rounds.map((figures) => figures[figure] ?? Number.NaN);
  const ratios: Record<string, number> = {};
  for (const baseline of baselines) {
    const pairs = values.map((value, round) => value / (baseline.rounds[round]?.[figure] ?? Number.NaN));
    ratios[baseline.contender] = median(pairs);
  }
  return {
    name,
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    unit,
    ratios,
    rssMB: ours.usage ? round1(ours.usage.peakRssMb) : null,
    cpuSeconds: ours.usage ? round1(ours.usage.cpuSeconds, 2) : null,
  };
}

function round1(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
