import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import type { JsonValue } from '../../../local-edge/src/hub/hub-api.ts';
import { sign } from '../../../local-edge/src/hub/sas-token.ts';
import { authorize } from '../../../local-edge/src/service-api/authorization.ts';
import { readContent } from '../../../local-edge/src/service-api/configuration-content.ts';
import { checkMethodRequest } from '../../../local-edge/src/service-api/method-call.ts';
import {
  ServiceError,
  asciiJson,
  errorReply,
  methodErrorReply,
} from '../../../local-edge/src/service-api/replies.ts';
import { createRouter } from '../../../local-edge/src/service-api/router.ts';
import { writableParts } from '../../../local-edge/src/service-api/twin-routes.ts';

describe('authorization of a service request', () => {
  const policy = { hostName: 'hub.example', name: 'iothubowner', key: 'a2V5' };
  const now = 1_700_000_000_000;
  function token(sr: string, se = 1_700_000_001, order: 'node' | 'az' = 'node'): string {
    const sig = `sig=${encodeURIComponent(sign(policy.key, `${sr}\n${se}`))}`;
    const fields =
      order === 'node'
        ? [`sr=${sr}`, sig, 'skn=iothubowner', `se=${se}`]
        : [`sr=${sr}`, sig, `se=${se}`, 'skn=iothubowner'];
    return `SharedAccessSignature ${fields.join('&')}`;
  }

  it('verifies the resource as it stands in the token, in either order of the fields', () => {
    for (const sr of ['hub.example', 'hub.example%3a8443', 'HUB.example%3A8443', 'hub.example%2Fdevices']) {
      assert.equal(authorize(token(sr), policy, '/devices/d', now).ok, true, sr);
      assert.equal(authorize(token(sr, undefined, 'az'), policy, '/devices/d', now).ok, true, sr);
    }
  });

  it('does not accept a token whose resource was re-encoded after signing', () => {
    const resent = token('hub.example:8443').replace('sr=hub.example:8443', 'sr=hub.example%3A8443');
    assert.deepEqual(authorize(resent, policy, '/devices/d', now), {
      ok: false,
      reason: "the token's signature does not fit the policy's key",
    });
  });

  it('keeps a token for a path to that path', () => {
    assert.equal(authorize(token('hub.example%2Fdevices'), policy, '/devicesX', now).ok, false);
    assert.equal(authorize(token('hub.example%2Ftwins'), policy, '/devices/d', now).ok, false);
  });

  it('refuses from the second of expiry on', () => {
    assert.equal(authorize(token('hub.example', 1_700_000_000), policy, '/devices', now).ok, false);
    assert.equal(authorize(token('hub.example', 1_700_000_000), policy, '/devices', now - 1).ok, true);
  });
});

describe('a method request', () => {
  it('gets the defaults of IoT Hub and keeps falsy payloads', () => {
    for (const payload of [0, '', false, null]) {
      assert.deepEqual(checkMethodRequest({ methodName: 'm', payload }), {
        ok: true,
        call: { methodName: 'm', payload, responseTimeoutMs: 30_000, connectTimeoutMs: 0 },
      });
    }
  });

  it('is taken at the limits and refused beyond them', () => {
    const at = (body: Record<string, JsonValue>): boolean =>
      checkMethodRequest({ methodName: 'm', ...body }).ok;
    assert.ok(at({ responseTimeoutInSeconds: 5 }) && at({ responseTimeoutInSeconds: '300' }));
    assert.ok(at({ connectTimeoutInSeconds: 0 }) && at({ connectTimeoutInSeconds: 300 }));
    assert.ok(!at({ responseTimeoutInSeconds: 4 }) && !at({ responseTimeoutInSeconds: 5.5 }));
    assert.ok(!at({ connectTimeoutInSeconds: 301 }) && !at({ connectTimeoutInSeconds: '' }));
    // Two quotes count too; an é has two bytes.
    assert.ok(at({ payload: 'x'.repeat(131_070) }) && !at({ payload: 'é'.repeat(65_536) }));
    assert.ok(at({ methodName: 'm'.repeat(100) }) && !at({ methodName: 'm'.repeat(101) }));
  });
});

describe('replies', () => {
  it('are ASCII and say the same', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = asciiJson(value as JsonValue);
        assert.match(text, /^[\x20-\x7e]*$/);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('carry an error in form A as clients split it: at semicolons', () => {
    const { status, headers, body } = errorReply(
      new ServiceError(404, 'DeviceNotFound', 'no; none'),
      new Date(0),
    );
    assert.equal(status, 404);
    assert.deepEqual(headers, { 'iothub-errorcode': 'DeviceNotFound' });
    const { Message, ExceptionMessage } = body as Record<string, string>;
    assert.equal(Message, 'ErrorCode:DeviceNotFound;no, none');
    assert.match(ExceptionMessage ?? '', /^Tracking ID:[0-9A-F]{32}-G:1-TimeStamp:01\/01\/1970 00:00:00$/);
  });

  it('carry a method error in form B: JSON inside the message', () => {
    const { body } = methodErrorReply(504, 'GatewayTimeout', 504101, 'late', {}, new Date(0));
    const { Message } = body as Record<string, string>;
    const inner = JSON.parse(Message ?? '') as Record<string, unknown>;
    assert.match(String(inner['trackingId']), /^[0-9A-F]{32}-G:1-/);
    delete inner['trackingId'];
    assert.deepEqual(inner, {
      errorCode: 504101,
      message: 'late',
      info: {},
      timestampUtc: '1970-01-01T00:00:00.000Z',
    });
  });
});

describe('the content of a deployment', () => {
  it('keeps every module, whatever its name', () => {
    const names = ['$edgeAgent', 'toString', '__proto__'];
    const modulesContent = Object.fromEntries(names.map((name) => [name, { 'properties.desired': {} }]));
    assert.deepEqual(Object.keys(readContent({ modulesContent }).modulesContent), names);
  });
});

describe('the router', () => {
  const handler = (name: string) => () => ({ status: 200, body: name });
  const match = createRouter([
    { method: 'GET', pattern: '/twins/:device', handler: handler('device') },
    { method: 'POST', pattern: '/devices/query', handler: handler('query') },
    { method: 'GET', pattern: '/devices/:device', handler: handler('get') },
    { method: 'ANY', pattern: '/jobs/*', handler: handler('jobs') },
  ]);

  it('decodes each segment by itself, so that an encoded slash stays in its id', () => {
    const found = match('GET', '/Twins/a%2Fb%24/');
    assert.deepEqual(found.kind === 'route' && found.parameters, { device: 'a/b$' });
  });

  it('tells another method from another path', () => {
    assert.deepEqual(match('DELETE', '/twins/d'), { kind: 'otherMethod', allowed: ['GET'] });
    assert.equal(match('GET', '/twins/d/x').kind, 'none');
    assert.equal(match('GET', '/twins/%zz').kind, 'none');
    assert.equal(match('GET', '/devices/query').kind, 'route');
    assert.equal(match('PUT', '/jobs/v2/1').kind, 'route');
  });
});

describe('the writable parts of a twin', () => {
  it('are desired properties and tags, without what only the service writes', () => {
    const parts = writableParts({
      etag: 'x',
      version: 3,
      tags: { a: null },
      properties: { desired: { b: 1, $version: 2, $metadata: {} }, reported: { c: 1 } },
    });
    assert.deepEqual(parts, { desired: { b: 1 }, tags: { a: null } });
    assert.deepEqual(writableParts({ properties: { desired: null } }), {});
    assert.throws(() => writableParts({ tags: [] }), /tags must be a JSON object/);
  });
});
