import assert from 'node:assert/strict';
import test from 'node:test';
import { formatInputBag, parseBag } from '../../../local-edge/src/edgehub/property-bag.ts';
import { filterMatches, kindOf } from '../../../local-edge/src/edgehub/subscriptions.ts';
import { parsePublication } from '../../../local-edge/src/edgehub/topics.ts';

const parse = (topic: string) => parsePublication(topic, 'd 1', 'm1');

test('an output bag is read with "$" plain or encoded', () => {
  for (const name of ['$.on', '%24.on']) {
    const publication = parse(`devices/d 1/modules/m1/messages/events/${name}=out&my%20prop=a%2Fb%26c/`);
    assert.deepEqual(publication, {
      kind: 'event',
      properties: { system: { outputName: 'out' }, application: { 'my prop': 'a/b&c' } },
    });
  }
});

test('every wire name of a system property has its long name', () => {
  const bag =
    '$.mid=1&$.cid=2&$.uid=3&$.to=4&$.ct=5&$.ce=6&$.exp=7&$.ctime=8&$.schema=9&ack=full&$.sub=c&x=y';
  assert.deepEqual(parseBag(bag), {
    system: {
      messageId: '1',
      correlationId: '2',
      userId: '3',
      to: '4',
      contentType: '5',
      contentEncoding: '6',
      'absolute-expiry-time': '7',
      creationTime: '8',
      messageSchema: '9',
      ack: 'full',
      'dt-subject': 'c',
    },
    application: { x: 'y' },
  });
  assert.equal(parseBag('a=%E0%A4%A'), undefined);
  assert.deepEqual(parseBag('__proto__=x&constructor=y')?.application['constructor'], 'y');
});

test('the bag of an input leaves out output, interface and empty values', () => {
  const properties = {
    system: { outputName: 'o', 'iothub-interface-id': 'i', messageId: 'm', correlationId: '' },
    application: { a: '', 'b c': '=&' },
  };
  const bag = formatInputBag(properties, { deviceId: 'd', moduleId: 'm' });
  assert.equal(bag, 'b%20c=%3D%26&%24.mid=m&%24.cdid=d&%24.cmid=m');
});

test('twin and method topics are read with their request ids', () => {
  assert.deepEqual(parse('$iothub/twin/GET/?$rid=a-1'), { kind: 'twinGet', requestId: 'a-1' });
  assert.deepEqual(parse('$iothub/twin/PATCH/properties/reported/?$rid=2&$version=4'), {
    kind: 'twinPatch',
    requestId: '2',
  });
  assert.deepEqual(parse('$iothub/methods/res/200/?$rid=X'), {
    kind: 'methodReply',
    status: '200',
    requestId: 'X',
  });
  assert.equal(parse('$iothub/methods/res/200').kind, 'ignored');
});

test('other topics are malformed', () => {
  for (const topic of [
    'devices/d 1/messages/events/',
    'devices/d 1/modules/m2/messages/events/',
    'devices/d 1/modules/m1/messages/events/a=b/c=d',
    'devices/d 1/modules/m1/inputs/in1/',
    '$iothub/twin/GET/',
    '$iothub/twin/GET/x/?$rid=1',
    '$iothub/other',
    '',
  ]) {
    assert.equal(parse(topic).kind, 'malformed', topic);
  }
});

test('subscriptions are understood by the tests of edgeHub', () => {
  assert.equal(kindOf('$iothub/methods/POST/#'), 'methods');
  assert.equal(kindOf('$iothub/twin/PATCH/properties/desired/#'), 'desired');
  assert.equal(kindOf('$iothub/twin/res/#'), 'twinResults');
  assert.equal(kindOf('$iothub/twin/res/+'), undefined);
  assert.equal(kindOf('devices/d/modules/m/inputs/#'), 'inputs');
  assert.equal(kindOf('devices/d/modules/m/inputs/+'), undefined);
});

test('filters match by levels', () => {
  assert.ok(filterMatches('a/#', 'a/b/c'));
  assert.ok(filterMatches('a/#', 'a'));
  assert.ok(filterMatches('a/+/c', 'a/b/c'));
  assert.ok(!filterMatches('a/+', 'a/b/c'));
  assert.ok(!filterMatches('a/b/c', 'a/b'));
  assert.ok(!filterMatches('a/b', 'a/b/c'));
});
