import { SuiteError } from './errors.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  inc(labels?: Labels, by?: number): void;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
}
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/**
 * Instruments of one module in Prometheus' text form. Names come without prefix: the module's name is put in front. Asking
 * again for a name returns the same instrument, so that a rebuilt part goes on counting where the old one stopped.
 */
export interface Metrics {
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  /** `collect` is called before each reading and sets every value that there is then. */
  gauge(name: string, help: string, labelNames?: readonly string[], collect?: (gauge: Gauge) => void): Gauge;
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames?: readonly string[],
  ): Histogram;
  text(): string;
}

/** A label that takes too many values must cost bounded memory; what exceeds it is counted in one series of its own. */
const MAX_SERIES = 500;
const OVERFLOW = 'other';

type Kind = 'counter' | 'gauge' | 'histogram';

interface Series {
  readonly labels: Labels;
  value: number;
  readonly counts: number[];
  count: number;
}

interface Family {
  readonly kind: Kind;
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly buckets: readonly number[];
  readonly series: Map<string, Series>;
  collect?: () => void;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

/** The metrics collector of IoT Edge drops a line whose value is infinite: such a sample is left out. */
function sample(name: string, labels: Labels, value: number): string {
  return Number.isFinite(value) ? `${name}${labelText(labels)} ${value}\n` : '';
}

function seriesOf(family: Family, given: Labels): Series {
  const pick = (read: (name: string) => string): Labels =>
    Object.fromEntries(family.labelNames.map((name) => [name, read(name)]));
  const labels = pick((name) => given[name] ?? '');
  const key = JSON.stringify(Object.values(labels));
  const known = family.series.get(key);
  if (known) return known;
  const full = family.labelNames.length > 0 && family.series.size >= MAX_SERIES;
  const overflowKey = JSON.stringify(family.labelNames.map(() => OVERFLOW));
  const overflow = full ? family.series.get(overflowKey) : undefined;
  if (overflow) return overflow;
  const series: Series = {
    labels: full ? pick(() => OVERFLOW) : labels,
    value: 0,
    counts: family.buckets.map(() => 0),
    count: 0,
  };
  family.series.set(full ? overflowKey : key, series);
  return series;
}

function familyText(family: Family, constant: Labels): string {
  let out = `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.kind}\n`;
  for (const series of family.series.values()) {
    const labels = { ...constant, ...series.labels };
    if (family.kind !== 'histogram') {
      out += sample(family.name, labels, series.value);
      continue;
    }
    family.buckets.forEach((bound, index) => {
      out += sample(`${family.name}_bucket`, { ...labels, le: String(bound) }, series.counts[index] ?? 0);
    });
    out += sample(`${family.name}_bucket`, { ...labels, le: '+Inf' }, series.count);
    out += sample(`${family.name}_sum`, labels, series.value);
    out += sample(`${family.name}_count`, labels, series.count);
  }
  return out;
}

export interface MetricsOptions {
  /** The module's name; everything but letters, digits and `_` becomes `_`. */
  readonly prefix: string;
  /** On every sample, e.g. iothub, edge_device, module_name. */
  readonly labels?: Labels;
}

export function createMetrics({ prefix, labels: constant = {} }: MetricsOptions): Metrics {
  const start = `${prefix.replace(/\W/g, '_')}_`;
  const families = new Map<string, Family>();

  const family = (
    kind: Kind,
    shortName: string,
    help: string,
    labelNames: readonly string[],
    buckets: readonly number[],
  ): Family => {
    const name = start + shortName;
    if (![name, ...labelNames].every((part) => /^[a-zA-Z_]\w*$/.test(part))) {
      throw new SuiteError('INTERNAL', `registering metric ${name}: names hold letters, digits and _ only`);
    }
    const known = families.get(name);
    if (known) {
      if (known.kind !== kind || known.labelNames.join() !== labelNames.join()) {
        throw new SuiteError(
          'INTERNAL',
          `registering metric ${name}: already there with another kind or other labels`,
        );
      }
      return known;
    }
    const made: Family = { kind, name, help, labelNames, buckets, series: new Map() };
    families.set(name, made);
    // A series without labels exists from the start, so that a rate can be taken from its first increment.
    if (labelNames.length === 0 && kind !== 'gauge') seriesOf(made, {});
    return made;
  };

  return {
    counter(name, help, labelNames = []) {
      const target = family('counter', name, help, labelNames, []);
      return {
        inc(labels = {}, by = 1) {
          if (by > 0) seriesOf(target, labels).value += by;
        },
      };
    },
    gauge(name, help, labelNames = [], collect) {
      const target = family('gauge', name, help, labelNames, []);
      const gauge: Gauge = {
        set(value, labels = {}) {
          seriesOf(target, labels).value = value;
        },
      };
      if (collect) {
        target.collect = () => {
          // What is not there any more must not go on with its last value, nor take the place of another.
          target.series.clear();
          collect(gauge);
        };
      }
      return gauge;
    },
    histogram(name, help, buckets, labelNames = []) {
      const sorted = [...buckets].sort((a, b) => a - b);
      const target = family('histogram', name, help, labelNames, sorted);
      return {
        observe(value, labels = {}) {
          if (!Number.isFinite(value)) return;
          const series = seriesOf(target, labels);
          series.value += value;
          series.count += 1;
          target.buckets.forEach((bound, index) => {
            if (value <= bound) series.counts[index] = (series.counts[index] ?? 0) + 1;
          });
        },
      };
    },
    text() {
      let out = '';
      for (const target of families.values()) {
        target.collect?.();
        out += familyText(target, constant);
      }
      return out;
    },
  };
}
