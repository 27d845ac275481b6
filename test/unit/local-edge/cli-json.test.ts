import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { eventView } from '../../../local-edge/src/cli/event-view.ts';
import { findJsonMistake, isDeeperThan } from '../../../local-edge/src/cli/json-position.ts';
import { failureText } from '../../../local-edge/src/cli/service-failures.ts';

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('the place of a mistake in JSON', () => {
  for (const [text, position, expected] of [
    ['ping:pong', 1, /value/],
    ['', 1, /value/],
    ['{"a": 1, }', 10, /key/],
    ['{"a" 1}', 6, /colon/],
    ['[1 2]', 4, /comma/],
    ['{"a": 1', 8, /comma or \}/],
    ['"open', 6, /end of a text/],
    ['"a\nb"', 3, /escaped/],
    ['1 2', 3, /nothing more/],
    ["'text'", 1, /double quotes/],
    ['01', 2, /nothing more/],
  ] as const) {
    it(`is found in ${JSON.stringify(text)}`, () => {
      const mistake = findJsonMistake(text);
      assert.equal(mistake?.position, position);
      assert.match(mistake.expected, expected);
    });
  }

  it('is found exactly when JSON.parse refuses the text', () => {
    const nearJson = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '{', ']', ',', '\\', ' ', '0', '-', '\u0001', 'e'))
      .map(([text, at, extra]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + extra + text.slice(cut + (at % 2));
      });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), nearJson), (text) => {
        assert.equal(findJsonMistake(text) === undefined, parses(text));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the depth of JSON', () => {
  for (const [text, levels, expected] of [
    ['[[1]]', 2, false],
    ['[[[1]]]', 2, true],
    ['{"a":{"b":[1]}}', 2, true],
    ['[[1],[2],[3]]', 2, false],
    ['["[[[", "\\"[[["]', 1, false],
    ['[[[', 2, true],
  ] as const) {
    it(`of ${text} is ${expected ? '' : 'not '}more than ${levels}`, () => {
      assert.equal(isDeeperThan(levels, text), expected);
    });
  }
});

describe('an event as az prints it', () => {
  const event = {
    sequenceNumber: 7,
    enqueuedTime: '2026-01-31T12:00:00.000Z',
    deviceId: 'dev-1',
    moduleId: 'worker',
    output: 'out',
    system: { contentType: 'application/json; charset=utf-8', contentEncoding: 'utf-8' },
    application: { kind: 'test' },
    body: Buffer.from('{"t": 1}'),
  };
  const origin = { origin: 'dev-1', module: 'worker', interface: '', component: '' };

  it('holds only origin and payload unless more is asked for', () => {
    assert.deepEqual(eventView(event, new Set()).view, { event: { ...origin, payload: { t: 1 } } });
  });

  it('names system properties as AMQP does, and annotates device, module and time', () => {
    const { view } = eventView(event, new Set(['sys', 'app', 'anno']));
    const shown = view['event'] as Record<string, Record<string, unknown>>;
    assert.deepEqual(shown['properties'], {
      system: { content_type: 'application/json; charset=utf-8', content_encoding: 'utf-8' },
      application: { kind: 'test' },
    });
    assert.equal(shown['annotations']?.['iothub-connection-device-id'], 'dev-1');
    assert.equal(shown['annotations']['iothub-connection-module-id'], 'worker');
    assert.equal(shown['annotations']['iothub-enqueuedtime'], Date.parse(event.enqueuedTime));
  });

  it('keeps a payload as text when it is not said to be JSON, and warns when it is but cannot be', () => {
    assert.deepEqual(eventView({ ...event, system: {} }, new Set()).view, {
      event: { ...origin, payload: '{"t": 1}' },
    });
    assert.deepEqual(eventView({ ...event, system: {} }, new Set(), 'application/json').view, {
      event: { ...origin, payload: { t: 1 } },
    });
    const { view, warning } = eventView({ ...event, body: Buffer.from('{') }, new Set());
    assert.deepEqual(view, { event: { ...origin, payload: '{' } });
    assert.match(warning ?? '', /event 7 of worker/);
  });
});

describe("the text of IoT Hub's error bodies", () => {
  it('is found in both forms, and empty for other bodies', () => {
    assert.equal(
      failureText({ Message: 'ErrorCode:ArgumentInvalid;not so', ExceptionMessage: '' }),
      'not so',
    );
    assert.equal(failureText({ Message: '{"errorCode":400004,"message":"so"}', ExceptionMessage: '' }), 'so');
    assert.equal(failureText('<html>'), '');
  });
});
