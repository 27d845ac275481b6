import { compileCondition } from './condition.ts';
import { parseCondition } from './condition-parser.ts';
import { RouteSyntaxError, TokenReader, quote, tokenize } from './lexer.ts';
import type { ConditionInput } from './values.ts';

export type Sink =
  | { readonly kind: 'upstream' }
  | { readonly kind: 'input'; readonly moduleId: string; readonly input: string };

export interface Route {
  /** Normalised: no `*` at the end, one `/` at the end. */
  readonly source: string;
  readonly condition: (input: ConditionInput) => boolean;
  readonly sink: Sink;
}

/** Reads `[SELECT *] FROM <path> [WHERE <condition>] INTO <sink>`; throws RouteSyntaxError. */
export function parseRoute(text: string): Route {
  const reader = new TokenReader(tokenize(text));
  if (reader.isKeyword('select')) {
    reader.next();
    reader.expectOperator('*', '"*" after SELECT');
  }
  if (!reader.isKeyword('from')) reader.fail(`FROM, not ${quote(reader.peek())}`);
  reader.next();
  const source = parseSource(reader);
  let condition: Route['condition'] = () => true;
  if (reader.isKeyword('where')) {
    reader.next();
    condition = compileCondition(parseCondition(reader));
  }
  if (!reader.isKeyword('into')) reader.fail(`INTO, not ${quote(reader.peek())}`);
  reader.next();
  const sink = parseSink(reader);
  if (reader.peek().type !== 'end') reader.fail(`the end of the route, not ${quote(reader.peek())}`);
  return { source, condition, sink };
}

/** True when a message from `source` is one that the route reads: a prefix test without case. */
export function sourceMatches(route: Route, source: string): boolean {
  return withOneSlash(source).toLowerCase().startsWith(route.source.toLowerCase());
}

function parseSource(reader: TokenReader): string {
  let path = '';
  do {
    reader.expectOperator('/', 'a source path beginning with "/"');
    const token = reader.peek();
    if (token.type !== 'id' && !reader.isOperator('*')) reader.fail('a name or "*" after "/"');
    path += `/${reader.next().text}`;
  } while (reader.isOperator('/'));
  return withOneSlash(path.replace(/\*+$/, ''));
}

function parseSink(reader: TokenReader): Sink {
  const token = reader.next();
  if (token.type === 'sysprop') {
    if (token.text.toLowerCase() === '$upstream') return { kind: 'upstream' };
    throw new RouteSyntaxError(`there is no sink "${token.text}"; only $upstream`, token.at);
  }
  if (token.type !== 'id' || token.text.toLowerCase() !== 'brokeredendpoint') {
    throw new RouteSyntaxError(
      `expected $upstream or BrokeredEndpoint("/modules/<module>/inputs/<input>"), not ${quote(token)}`,
      token.at,
    );
  }
  reader.expectOperator('(', '"(" after BrokeredEndpoint');
  const address = reader.next();
  if (address.type !== 'string') {
    throw new RouteSyntaxError(`expected the endpoint in quotes, not ${quote(address)}`, address.at);
  }
  reader.expectOperator(')', 'a closing ")"');
  const parts = address.text.slice(1, -1).trim().replace(/^\//, '').replace(/\/$/, '').split('/');
  const [modules, moduleId, inputs, input] = parts;
  if (
    parts.length !== 4 ||
    modules?.toLowerCase() !== 'modules' ||
    inputs?.toLowerCase() !== 'inputs' ||
    !moduleId ||
    !input
  ) {
    throw new RouteSyntaxError(
      `${address.text} is no endpoint; write /modules/<module>/inputs/<input>`,
      address.at,
    );
  }
  return { kind: 'input', moduleId, input };
}

function withOneSlash(path: string): string {
  return `${path.trim().replace(/\/+$/, '')}/`;
}
