import { doesNotMatch, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { SuiteError, classifyRedisError, replyWord } from '@iotedge-redis/common';

function reply(text: string): Error {
  const error = new Error(text);
  error.name = 'ReplyError';
  return Object.assign(error, { command: { name: 'set', args: ['key', 's3cret value'] } });
}

function system(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.0.0.1:6379`), { code, syscall: 'connect' });
}

const cases: readonly (readonly [error: unknown, code: string, retryable: boolean])[] = [
  [reply('LOADING Redis is loading the dataset in memory'), 'REDIS_LOADING', true],
  [reply("READONLY You can't write against a read only replica."), 'REDIS_READONLY', true],
  [reply("OOM command not allowed when used memory > 'maxmemory'."), 'REDIS_OOM', true],
  [reply('MISCONF Errors writing to the AOF file: No space left on device'), 'REDIS_DISK_FULL', true],
  [reply('NOREPLICAS Not enough good replicas to write.'), 'REDIS_NO_REPLICAS', true],
  [reply('CLUSTERDOWN Hash slot not served'), 'REDIS_CLUSTER_DOWN', true],
  [reply('MASTERDOWN Link with MASTER is down'), 'REDIS_UNAVAILABLE', true],
  [reply('BUSY Redis is busy running a script.'), 'REDIS_BUSY', true],
  [reply('TRYAGAIN Multiple keys request during rehashing of slot'), 'REDIS_TRY_AGAIN', true],
  [reply('NOAUTH Authentication required.'), 'REDIS_AUTH', false],
  [reply('WRONGPASS invalid username-password pair'), 'REDIS_AUTH', false],
  [reply('ERR invalid password'), 'REDIS_AUTH', false],
  [reply('NOPERM this user has no permissions'), 'REDIS_DENIED', false],
  [
    reply("ERR The user executing the script can't run this command or subcommand script: 1f8f4c"),
    'REDIS_DENIED',
    false,
  ],
  [new Error('Unknown RESP type 72 "H". Please report this.'), 'REDIS_UNAVAILABLE', true],
  [reply('DENIED Redis is running in protected mode'), 'REDIS_DENIED', false],
  [reply('WRONGTYPE Operation against a key'), 'REDIS_WRONG_TYPE', false],
  [reply('ERR DB index is out of range'), 'DATA_INVALID', false],
  [reply('ERR max number of clients reached'), 'REDIS_UNAVAILABLE', true],
  [reply("ERR unknown command 'X', with args beginning with: 's3cret value'"), 'REDIS_ERROR', false],
  [reply('NEWWORD something of a later version'), 'REDIS_ERROR', false],
  [system('ECONNREFUSED'), 'REDIS_UNAVAILABLE', true],
  [system('ENOTFOUND'), 'REDIS_UNAVAILABLE', true],
  [system('DEPTH_ZERO_SELF_SIGNED_CERT'), 'REDIS_UNAVAILABLE', true],
  [system('EMFILE'), 'REDIS_UNAVAILABLE', true],
  [new Error('Connection is closed.'), 'REDIS_UNAVAILABLE', true],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 'REDIS_UNAVAILABLE', true],
  [new Error('Command timed out'), 'REDIS_TIMEOUT', true],
  [new TypeError('x is not a function'), 'REDIS_ERROR', false],
  ['just a text', 'REDIS_ERROR', false],
];

for (const [error, code, retryable] of cases) {
  test(`classifies ${error instanceof Error ? error.message.slice(0, 40) : String(error)} as ${code}`, () => {
    const result = classifyRedisError(error, 'writing a key at redis:6379');
    equal(result.code, code);
    equal(result.retryable, retryable);
    match(result.message, /^writing a key at redis:6379: /);
  });
}

test('keeps keys and values of the failed command out of text and cause', () => {
  const result = classifyRedisError(
    reply("ERR unknown command 'X', with args beginning with: 's3cret value'"),
  );
  doesNotMatch(`${result.message} ${String(result.cause)} ${JSON.stringify(result.cause)}`, /s3cret/);
});

test('leaves an error of the suite as it is', () => {
  const error = new SuiteError('STOPPED', 'waiting: stopped');
  equal(classifyRedisError(error), error);
});

test('looks through the error of a cluster to the one of its last node', () => {
  const error = Object.assign(new Error('Failed to refresh slots cache.'), {
    name: 'ClusterAllFailedError',
    lastNodeError: reply('WRONGPASS invalid'),
  });
  equal(classifyRedisError(error).code, 'REDIS_AUTH');
});

test('takes the first word of an error reply only as its code', () => {
  equal(replyWord(reply('WRONGTYPE Operation')), 'WRONGTYPE');
  equal(replyWord(reply('no code here')), undefined);
  equal(replyWord(new Error('WRONGTYPE said by somebody else')), undefined);
});
