import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log, LogLevel } from '@iotedge-redis/common';
import { createLog, SuiteError } from '@iotedge-redis/common';

const EDGE_AGENT = /^<(\d)>\s*(\d{4}-\d{2}-\d{2}\s\d{2}:\d{2}:\d{2}.\d{3}\s[+-]\d{2}:\d{2})\s\s*(.*)$/;

function capture(level: LogLevel = 'debug'): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({
    level,
    write: (line) => void lines.push(line),
    now: () => Date.UTC(2026, 0, 31, 12),
  });
  return { log, lines };
}

test('a line has level, time, tag, message and fields in the shape that edgeAgent parses', () => {
  const { log, lines } = capture();
  log.info('module starts', { port: 9600 });
  assert.deepEqual(lines, ['<6> 2026-01-31 12:00:00.000 +00:00 [INF] module starts {"port":9600}\n']);
  const [, level, stamp, text] = EDGE_AGENT.exec(lines[0]?.trimEnd() ?? '') ?? [];
  assert.deepEqual(
    [level, stamp, text],
    ['6', '2026-01-31 12:00:00.000 +00:00', '[INF] module starts {"port":9600}'],
  );
});

test('levels carry the severities of IoT Edge', () => {
  const { log, lines } = capture();
  for (const level of ['debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]('x');
  assert.deepEqual(
    lines.map((line) => [line.slice(0, 3), /\[...\]/.exec(line)?.[0]]),
    [['<7>', '[DBG]'], ['<6>', '[INF]'], ['<4>', '[WRN]'], ['<3>', '[ERR]'], ['<0>', '[FTL]']], // prettier-ignore
  );
});

test('one event is one line, whatever is in it', () => {
  const { log, lines } = capture();
  log.warn('first\nsecond\r\u2028third\0', { stack: 'a\n  at b\u2029', 'k\ney': 1 });
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.trimEnd().split(/[\r\n\u2028\u2029\0]/).length, 1);
});

test('the level can be changed while running, for children too', () => {
  const { log, lines } = capture('info');
  const child = log.child('redis');
  child.debug('not seen');
  log.level = 'debug';
  child.debug('seen');
  assert.equal(child.level, 'debug');
  child.level = 'error';
  log.warn('not seen');
  assert.deepEqual(
    lines.map((line) => line.slice(41).trim()),
    ['seen {"part":"redis"}'],
  );
});

test('a child of a child carries both names', () => {
  const { log, lines } = capture();
  log.child('edge').child('twin').info('x', { a: 1 });
  assert.match(lines[0] ?? '', /x \{"part":"edge\/twin","a":1\}/);
});

const hidden: [string, Record<string, unknown>][] = [
  ['a password', { password: 'hunter2' }],
  ['a password of a kind', { redisPassword: 'hunter2' }],
  ['a token', { methodsToken: 'hunter2' }],
  ['a SAS', { blobSas: 'hunter2' }],
  ['a signature', { sig: 'hunter2' }],
  ['a key of an account', { accountKey: 'hunter2', primaryKey: 'hunter2' }],
  ['a nested secret', { settings: [{ clientSecret: 'hunter2' }] }],
  ['a connection string', { connectionString: 'hunter2' }],
  ['userinfo of a URL', { endpoint: 'rediss://user:hunter2@redis:6380/0' }],
  ['a password with signs that belong percent-encoded', { url: `redis://:a@b/c'd"#hunter2@redis` }],
  ['one of several URLs', { urls: 'redis://a:1,redis://u:hunter2@b:2' }],
  ['a bearer token', { text: 'authorization: Bearer hunter2.x-y' }],
  ['a signature in a URL', { url: 'https://x.blob.core.windows.net/c/b?sp=r&sig=hunter2&se=2026' }],
  ['a key in a connection string', { text: 'HostName=x;SharedAccessKey=hunter2=;Y=1' }],
  [
    'an error that quotes one',
    { error: new SuiteError('INTERNAL', 'at redis://:hunter2@x', { cause: 'redis://a:hunter2@x' }) },
  ],
];
for (const [what, fields] of hidden) {
  test(`${what} is not shown`, () => {
    const { log, lines } = capture();
    log.info('x', fields);
    assert.doesNotMatch(lines.join(), /hunter2/);
    assert.match(lines.join(), /\*\*\*/);
  });
}

test('a Redis key is no secret', () => {
  const { log, lines } = capture();
  log.info('x', { key: 'pump:1', monkey: 'k' });
  assert.match(lines[0] ?? '', /\{"key":"pump:1","monkey":"k"\}/);
});

test('values of every kind become something short and readable', () => {
  const { log, lines } = capture();
  const deep = { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } };
  log.info('x', {
    big: 12n,
    date: new Date(0),
    noDate: new Date(Number.NaN),
    bytes: Buffer.from('secret value'),
    none: undefined,
    nothing: null,
    error: new SuiteError('CONFLICT', 'writing: too late'),
    long: 'x'.repeat(10_000),
    deep,
  });
  const line = lines[0] ?? '';
  assert.ok(line.length < 5000);
  assert.match(
    line,
    /"big":"12","date":"1970-01-01T00:00:00.000Z","noDate":null,"bytes":"12 bytes","nothing":null/,
  );
  assert.match(line, /"error":\{"message":"writing: too late","code":"CONFLICT"\}/);
  assert.match(line, /"e":"…"/);
});

test('a line stays below the length at which Docker cuts it in two', () => {
  const { log, lines } = capture();
  log.warn('x'.repeat(50_000), { mistakes: Array.from({ length: 5000 }, () => 'ä name of a setting') });
  const line = lines[0] ?? '';
  assert.ok(Buffer.byteLength(line) <= 16 * 1024, String(Buffer.byteLength(line)));
  assert.match(line, /…\n$/);
});

test('a path with an @ behind the host is no secret', () => {
  const { log, lines } = capture();
  log.info('x', { url: 'https://store.blob.core.windows.net/in/a@b.csv' });
  assert.match(lines[0] ?? '', /windows\.net\/in\/a@b\.csv/);
});

test('without a writer the lines go to the descriptor', () => {
  const log = createLog({ level: 'fatal', descriptor: 2 });
  assert.equal(log.level, 'fatal');
  log.info('not seen');
});
