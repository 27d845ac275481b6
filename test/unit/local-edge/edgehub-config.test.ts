import assert from 'node:assert/strict';
import test from 'node:test';
import { defaultPriority, parseEdgeHubConfig } from '../../../local-edge/src/edgehub/edge-hub-config.ts';
import type { JsonObject } from '../../../local-edge/src/hub/hub-api.ts';

const route = 'FROM /* INTO $upstream';
const findings = (desired: JsonObject) => parseEdgeHubConfig(desired).findings;

test('routes are texts, and from schema 1.1 on objects with priority and time to live', () => {
  const { config, findings: none } = parseEdgeHubConfig({
    schemaVersion: '1.1',
    routes: { a: route, b: { route, priority: 3, timeToLiveSecs: 60 }, empty: '' },
    storeAndForwardConfiguration: { timeToLiveSecs: -1 },
  });
  assert.deepEqual(none, []);
  assert.deepEqual(
    config.routes.map(({ name, priority, timeToLiveSecs }) => [name, priority, timeToLiveSecs]),
    [
      ['a', defaultPriority, 0],
      ['b', 3, 60],
    ],
  );
  assert.equal(config.timeToLiveSecs, -1);
  assert.equal(parseEdgeHubConfig({ schemaVersion: '1.0' }).config.timeToLiveSecs, 7200);
});

test('every finding is told at once, with the name of its route', () => {
  const found = findings({
    schemaVersion: '1.1',
    routes: { a: 'FROM', b: { route, priority: 10 }, c: 5 },
    storeAndForwardConfiguration: { timeToLiveSecs: 'long' },
  });
  assert.equal(found.length, 4);
  assert.match(
    found.join('\n'),
    /route "a", character 5[\s\S]*route "b": "priority"[\s\S]*route "c"[\s\S]*timeToLiveSecs/,
  );
});

test('unknown schema versions, objects in 1.0 and the retired broker are refused', () => {
  assert.match(findings({ schemaVersion: '2.0' })[0] ?? '', /schemaVersion/);
  assert.match(findings({})[0] ?? '', /schemaVersion/);
  assert.match(findings({ schemaVersion: '1.0', routes: { a: { route } } })[0] ?? '', /1\.1/);
  assert.match(findings({ schemaVersion: '1.2', mqttBroker: {} })[0] ?? '', /mqttBroker.*retired/);
  assert.deepEqual(findings({ schemaVersion: '1.3', routes: { a: route }, integrity: {} }), []);
});
