import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { JsonObject } from '../../../local-edge/src/hub/hub-api.ts';
import { evaluate } from '../../../local-edge/src/service-api/query-evaluation.ts';
import { parseQuery } from '../../../local-edge/src/service-api/query-parser.ts';
import { isTargeted, parseTarget } from '../../../local-edge/src/service-api/target-condition.ts';

const rows: readonly JsonObject[] = [
  {
    deviceId: 'd',
    moduleId: 'a',
    connectionState: 'Connected',
    tags: { site: "O'Hare", floor: 2, 'two words': true },
    properties: { desired: { mode: 'fast', empty: null }, reported: { count: 10 } },
  },
  {
    deviceId: 'd',
    moduleId: 'b',
    connectionState: 'Disconnected',
    tags: {},
    properties: { desired: {}, reported: { count: 9 } },
  },
];

function ids(where: string): unknown[] {
  const query = parseQuery(`SELECT * FROM devices.modules WHERE ${where}`);
  return evaluate(query, rows).map((row) => row['moduleId']);
}

describe('queries', () => {
  for (const [where, expected] of [
    ["moduleId = 'a'", ['a']],
    ['moduleId = "b"', ['b']],
    ["moduleId != 'a'", ['b']],
    ["moduleId <> 'a'", ['b']],
    ["tags.site = 'O''Hare'", ['a']],
    ["tags['two words'] = true", ['a']],
    ['tags.floor >= 2 AND properties.reported.count > 9', ['a']],
    ['properties.reported.count < 10', ['b']],
    ['properties.reported.count <= 10', ['a', 'b']],
    ["NOT moduleId = 'a'", ['b']],
    ["moduleId = 'a' or moduleId = 'b' and tags.floor = 9", ['a']],
    ["(moduleId = 'a' OR moduleId = 'b') AND tags.floor = 9", []],
    ["moduleId IN ['b', 'c']", ['b']],
    ["moduleId not in ['b']", ['a']],
    ['is_defined(tags.floor)', ['a']],
    ['NOT IS_DEFINED(tags.floor)', ['b']],
    ['properties.desired.empty = null', ['a']],
    ["tags.floor = '2'", []],
    ["tags.floor < 'x'", []],
    ["tags.none != 'x'", ['a', 'b']],
    ["'a' = moduleId", ['a']],
    ['properties.desired.toString = 1', []],
  ] as const) {
    it(`select by ${where}`, () => assert.deepEqual(ids(where), expected));
  }

  it('project columns with names of their own and leave out what a row has not', () => {
    const query = parseQuery(
      'select moduleId as id, tags.floor, properties.reported.count from devices.modules',
    );
    assert.deepEqual(evaluate(query, rows), [
      { id: 'a', floor: 2, count: 10 },
      { id: 'b', count: 9 },
    ]);
  });

  it('project a column by a name that every object has', () => {
    const [row = {}] = evaluate(parseQuery('SELECT moduleId AS __proto__ FROM devices.modules'), rows);
    assert.deepEqual(Object.entries(row), [['__proto__', 'a']]);
  });

  it('count and limit', () => {
    assert.deepEqual(evaluate(parseQuery('SELECT COUNT() AS n FROM devices.modules'), rows), [{ n: 2 }]);
    assert.equal(evaluate(parseQuery('SELECT TOP 1 * FROM devices.modules'), rows).length, 1);
  });

  for (const [text, pattern] of [
    ['', /Expected select/],
    ['SELECT * FROM', /name/],
    ['SELECT * FROM devices.jobs', /not emulated/],
    ['SELECT * FROM devices WHERE', /name/],
    ["SELECT * FROM devices WHERE tags.a = 'open", /position/],
    ['SELECT * FROM devices GROUP BY tags.a', /GROUP/],
    ['SELECT * FROM devices WHERE tags.a', /comparison/],
    ["SELECT * FROM devices WHERE deviceId toString 'd'", /comparison but found toString/],
    ["SELECT * FROM devices WHERE deviceId constructor 'd'", /comparison but found constructor/],
    ['SELECT TOP x * FROM devices', /TOP/],
  ] as const) {
    it(`say what is not understood in ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseQuery(text), { message: pattern });
    });
  }
});

describe('target conditions', () => {
  const twin = rows[0] ?? {};
  it('match all, none, or by tags', () => {
    assert.equal(isTargeted(parseTarget('*'), twin), true);
    assert.equal(isTargeted(parseTarget(' '), twin), false);
    assert.equal(isTargeted(parseTarget('tags.floor = 2'), twin), true);
    assert.equal(isTargeted(parseTarget('tags.floor = 3'), twin), false);
  });

  it('are refused when they could not be evaluated', () => {
    assert.throws(() => parseTarget('from devices.modules where a = 1'), /not emulated/);
    assert.throws(() => parseTarget('tags.floor ~ 3'), /not understood/);
  });
});
