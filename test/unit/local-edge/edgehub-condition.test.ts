import assert from 'node:assert/strict';
import test from 'node:test';
import { RouteSyntaxError } from '../../../local-edge/src/edgehub/routes/lexer.ts';
import { parseRoute } from '../../../local-edge/src/edgehub/routes/route.ts';
import { conditionInput, eventMessage } from '../../../local-edge/src/edgehub/message.ts';

const body = { level: 5, name: 'pump', on: true, gone: null, list: [{ v: 1 }], inner: { v: 2 } };

function holds(condition: string, application: Record<string, string> = {}, json: unknown = body): boolean {
  const route = parseRoute(`FROM /* WHERE ${condition} INTO $upstream`);
  const system = { contentType: 'application/json', contentEncoding: 'utf-8', outputName: 'o' };
  const message = eventMessage('m1', { system, application }, Buffer.from(JSON.stringify(json)));
  return route.condition(conditionInput(message, 'dev1'));
}

function refusal(condition: string): string {
  try {
    holds(condition);
  } catch (error) {
    if (error instanceof RouteSyntaxError) return error.message;
    throw error;
  }
  return 'accepted';
}

test('properties are compared as strings and found without case', () => {
  assert.ok(holds("kind = 'alarm'", { KIND: 'alarm' }));
  assert.ok(holds("kind != 'alarm'", { kind: 'x' }));
  assert.ok(holds("kind <> 'alarm'", { kind: 'x' }));
  assert.ok(!holds("kind = 'alarm'"));
  assert.ok(!holds("kind != 'alarm'"), 'undefined is neither equal nor different');
  assert.ok(holds("a < 'b' AND b >= 'b'", { a: 'a', b: 'b' }));
});

test('system properties are read by their long names, behind an application property of the same name', () => {
  assert.ok(holds("$contentType = 'application/json'"));
  assert.ok(holds("$connectionModuleId = 'm1' and $CONNECTIONDEVICEID = 'dev1'"));
  assert.ok(holds("$outputName = 'mine'", { $outputName: 'mine' }));
  assert.ok(holds("{$outputName} = 'o'", { $outputName: 'mine' }));
});

test('paths into the body give numbers, texts, bools and null', () => {
  assert.ok(holds('$body.level = 5'));
  assert.ok(holds('$body.level > 4.5 AND $body.level <= 5'));
  assert.ok(holds("$body.name = 'pump'"));
  assert.ok(holds('$body.on = true'));
  assert.ok(holds('$body.gone = null'));
  assert.ok(holds('$body.list[0].v = 1'));
  assert.ok(holds('$body.inner.v = 2'));
  assert.ok(!holds('$body.inner = 2'), 'an object is no value');
  assert.ok(!holds('$body.missing = 2'));
  assert.ok(!holds('$body.toString = 2'));
});

test('a body that is not declared as JSON in a Unicode encoding has no paths', () => {
  const route = parseRoute('FROM /* WHERE $body.level = 5 INTO $upstream');
  const json = Buffer.from('{"level":5}');
  for (const system of [
    {},
    { contentType: 'application/json' },
    { contentType: 'text/plain', contentEncoding: 'utf-8' },
  ]) {
    assert.equal(
      route.condition(conditionInput(eventMessage('m', { system, application: {} }, json), 'd')),
      false,
    );
  }
  const system = { contentType: 'Application/JSON', contentEncoding: 'UTF-16' };
  const wide = Buffer.from('{"level":5}', 'utf16le');
  assert.equal(
    route.condition(conditionInput(eventMessage('m', { system, application: {} }, wide), 'd')),
    true,
  );
});

test('operators bind as in the grammar of edgeHub', () => {
  assert.ok(holds("a = '1' OR b = '2' AND c = '3'", { a: '1' }));
  assert.ok(!holds("(a = '1' OR b = '2') AND c = '3'", { a: '1' }));
  assert.ok(holds('2 + 3 * 2 = 8 AND -(1) < 0'));
  assert.ok(holds("'a' || 'b' = 'ab'"));
  assert.ok(holds("(missing ?? 'x') = 'x'"));
  assert.ok(holds('NOT (1 = 2)'));
  assert.ok(holds("name = 'it\\'s' OR name = \"\\u0041\"", { name: "it's" }));
  assert.ok(holds('0x10 = 16 and 1e2 = 100'));
});

test('functions', () => {
  assert.ok(holds('as_number(t) > 20', { t: '20.5' }));
  assert.ok(!holds('as_number(t) > 20', { t: 'warm' }));
  assert.ok(holds('is_defined(t) AND NOT is_defined(u)', { t: '' }));
  assert.ok(
    holds('IS_NULL($body.gone) AND is_bool($body.on) AND is_string($body.name) AND is_number($body.level)'),
  );
  assert.ok(holds("starts_with(t, 'ab') AND ends_with(t, 'cd') AND contains(t, 'bc')", { t: 'abcd' }));
  assert.ok(
    holds("concat(upper('a'), lower('B'), 'c') = 'Abc' AND length('abc') = 3 AND index_of('abc', 'c') = 2"),
  );
  assert.ok(holds("substring('abcd', 2) = 'cd' AND substring('abcd', 1, 2) = 'bc'"));
  assert.ok(holds('abs(-2) = 2 AND power(2, 3) = 8 AND floor(1.5) = 1 AND ceiling(1.5) = 2 AND sqrt(9) = 3'));
});

test('only true lets a message pass', () => {
  for (const condition of ["'text'", 'name', '1', 'null', 'undefined', 'NOT $body.level']) {
    assert.equal(holds(condition, { name: 'true' }), false, condition);
  }
});

test("what edgeHub's compiler refuses is refused", () => {
  assert.match(refusal('temp > 20'), /as_number/);
  assert.match(refusal("a = '1' AND 'x'"), /bool/);
  assert.match(refusal("NOT a = 'b'"), /bool/);
  assert.match(refusal("a = 'b' AND $body.on"), /bool/);
  assert.match(refusal('magic(1)'), /no function/);
  assert.match(refusal('length(1)'), /takes \(string\)/);
  assert.match(refusal("a IN ['x']"), /expected|IN/);
  assert.match(refusal('$body.a[x] = 1'), /path/);
  assert.match(refusal("a ! 'b'"), /expected/);
  assert.match(refusal('twin_change_includes(a)'), /not emulated/);
});
