import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '@iotedge-redis/common';

/** Lines as the metrics collector of IoT Edge takes them: it drops all others. */
const COLLECTOR = /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? (NaN|[\d.eE+-]+)( \d+)?$/;

function samples(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('names carry the name of the module, and help and type stand before the samples', () => {
  const metrics = createMetrics({ prefix: 'redis-client' });
  metrics.counter('calls_total', 'Calls\nanswered \\ seen').inc();
  assert.equal(
    metrics.text(),
    '# HELP redis_client_calls_total Calls\\nanswered \\\\ seen\n# TYPE redis_client_calls_total counter\nredis_client_calls_total 1\n',
  );
});

test('label values are escaped', () => {
  const metrics = createMetrics({ prefix: 'm' });
  metrics.gauge('g', 'G', ['path']).set(2, { path: 'a"b\\c\nd' });
  assert.deepEqual(samples(metrics.text()), ['m_g{path="a\\"b\\\\c\\nd"} 2']);
});

test('a counter only goes up', () => {
  const metrics = createMetrics({ prefix: 'm' });
  const counter = metrics.counter('c_total', 'C', ['kind']);
  counter.inc({ kind: 'a' }, 5);
  counter.inc({ kind: 'a' }, -3);
  counter.inc({ kind: 'a' }, Number.NaN);
  counter.inc({ kind: 'b' });
  assert.deepEqual(samples(metrics.text()), ['m_c_total{kind="a"} 5', 'm_c_total{kind="b"} 1']);
});

test('a histogram counts cumulatively', () => {
  const metrics = createMetrics({ prefix: 'm' });
  const histogram = metrics.histogram('h_seconds', 'H', [1, 0.1], ['q']);
  for (const value of [0.05, 0.5, 5, Number.POSITIVE_INFINITY]) histogram.observe(value, { q: 'x' });
  assert.deepEqual(samples(metrics.text()), [
    'm_h_seconds_bucket{q="x",le="0.1"} 1',
    'm_h_seconds_bucket{q="x",le="1"} 2',
    'm_h_seconds_bucket{q="x",le="+Inf"} 3',
    'm_h_seconds_sum{q="x"} 5.55',
    'm_h_seconds_count{q="x"} 3',
  ]);
});

test('every line is one that the metrics collector of IoT Edge takes', () => {
  const metrics = createMetrics({ prefix: 'm', labels: { iothub: 'h', edge_device: 'd', module_name: 'm' } });
  const gauge = metrics.gauge('g', 'G', ['k']);
  for (const [k, value] of Object.entries({ a: 1e30, b: 1e-9, c: -5, d: Infinity, e: Number.NaN, f: 0 })) {
    gauge.set(value, { k });
  }
  metrics.histogram('h', 'H', [1]).observe(1);
  const lines = samples(metrics.text());
  for (const line of lines) assert.match(line, COLLECTOR);
  assert.equal(lines.filter((line) => line.startsWith('m_g{')).length, 4);
  assert.match(lines[0] ?? '', /^m_g\{iothub="h",edge_device="d",module_name="m",k="a"\} 1e\+30$/);
});

test('a series that is not set when a gauge is read is gone', () => {
  const metrics = createMetrics({ prefix: 'm' });
  let names = ['a', 'b'];
  metrics.gauge('g', 'G', ['k'], (gauge) => {
    for (const k of names) gauge.set(1, { k });
  });
  assert.match(metrics.text(), /m_g\{k="a"\} 1/);
  names = ['b'];
  assert.doesNotMatch(metrics.text(), /k="a"/);
  assert.match(metrics.text(), /m_g\{k="b"\} 1/);
});

test('a gauge may be read at the moment of asking', () => {
  const metrics = createMetrics({ prefix: 'm' });
  let value = 0;
  metrics.gauge('g', 'G', [], (gauge) => gauge.set((value += 1)));
  assert.deepEqual([samples(metrics.text()), samples(metrics.text())], [['m_g 1'], ['m_g 2']]);
});

test('asking again for a name goes on with the same numbers', () => {
  const metrics = createMetrics({ prefix: 'm' });
  metrics.counter('c_total', 'C').inc();
  metrics.counter('c_total', 'C').inc();
  assert.deepEqual(samples(metrics.text()), ['m_c_total 2']);
  assert.throws(() => metrics.gauge('c_total', 'C'), /already there with another kind/);
  assert.throws(() => metrics.counter('c_total', 'C', ['x']), /other labels/);
  assert.throws(() => metrics.counter('bad-name', 'C'), /letters, digits and _/);
});

test('a label with too many values costs bounded memory, and nothing is lost from the sum', () => {
  const metrics = createMetrics({ prefix: 'm' });
  const counter = metrics.counter('c_total', 'C', ['key']);
  for (let i = 0; i < 2000; i += 1) counter.inc({ key: String(i) });
  const lines = samples(metrics.text());
  assert.equal(lines.length, 501);
  assert.equal(lines.at(-1), 'm_c_total{key="other"} 1500');
});
