import assert from 'node:assert/strict';
import test from 'node:test';
import { RouteSyntaxError } from '../../../local-edge/src/edgehub/routes/lexer.ts';
import { parseRoute, sourceMatches } from '../../../local-edge/src/edgehub/routes/route.ts';

const matches = (route: string, source: string) =>
  sourceMatches(parseRoute(`${route} INTO $upstream`), source);

test('keywords have no case and SELECT * may be left out', () => {
  for (const text of [
    'FROM /* INTO $upstream',
    'select * from /* into $UPSTREAM',
    'SELECT * FROM /messages/* INTO $upstream',
  ]) {
    assert.deepEqual(parseRoute(text).sink, { kind: 'upstream' });
  }
});

test('a source is a prefix without case, by whole names', () => {
  assert.ok(matches('FROM /*', '/twinChangeNotifications'));
  assert.ok(matches('FROM /messages/*', '/messages/modules/a/outputs/o'));
  assert.ok(matches('FROM /messages/modules/A/*', '/messages/modules/a'));
  assert.ok(matches('FROM /messages/modules/a', '/messages/modules/a/outputs/o'));
  assert.ok(matches('FROM /messages/modules/a/outputs/*', '/messages/modules/a/outputs/o'));
  assert.ok(!matches('FROM /messages/modules/a/outputs/*', '/messages/modules/a'));
  assert.ok(!matches('FROM /messages/modules/a/*', '/messages/modules/ab/outputs/o'));
  assert.ok(!matches('FROM /messages/modules/a/outputs/o', '/messages/modules/a/outputs/o2'));
  assert.ok(!matches('FROM /messages/*', '/twinChangeNotifications'));
});

test('an endpoint takes both kinds of quotes and any case of its fixed parts', () => {
  const sink = { kind: 'input', moduleId: 'b', input: 'in1' };
  for (const endpoint of [
    'BrokeredEndpoint("/modules/b/inputs/in1")',
    "brokeredendpoint('modules/b/inputs/in1/')",
    'BrokeredEndpoint( "/Modules/b/INPUTS/in1" )',
  ]) {
    assert.deepEqual(parseRoute(`FROM /* INTO ${endpoint}`).sink, sink);
  }
});

test('what is no route is refused at its place', () => {
  const cases: [string, number][] = [
    ['', 0],
    ['FROM', 4],
    ['FROM messages/* INTO $upstream', 5],
    ['FROM /* TO $upstream', 8],
    ['FROM /* INTO $downstream', 13],
    ['FROM /* INTO Endpoint("/modules/b/inputs/i")', 13],
    ['FROM /* INTO BrokeredEndpoint("/modules/b/in")', 30],
    ['FROM /* INTO BrokeredEndpoint("/modules/b/inputs/i/j")', 30],
    ['FROM /* INTO $upstream more', 23],
    ['FROM /* WHERE INTO $upstream', 14],
    ['FROM /* WHERE a = "x INTO $upstream', 18],
    ['FROM /* WHERE (a = "x" INTO $upstream', 23],
    ['SELECT a FROM /* INTO $upstream', 7],
  ];
  for (const [text, at] of cases) {
    assert.throws(
      () => parseRoute(text),
      (error) => error instanceof RouteSyntaxError && error.at === at,
      text,
    );
  }
});

for (const deep of ['('.repeat(1000), 'not '.repeat(1000), 'abs('.repeat(1000)]) {
  test(`a condition deeper than the stack is refused in words: ${deep.slice(0, 4)}…`, () => {
    assert.throws(
      () => parseRoute(`FROM /* WHERE ${deep}1 = 1 INTO $upstream`),
      /nested deeper than 100 levels/,
    );
  });
}
