import { compileBodyPath } from './body-path.ts';
import { builtins } from './builtins.ts';
import type { Expression } from './condition-parser.ts';
import { RouteSyntaxError, type Token } from './lexer.ts';
import type { Compiled, ConditionInput, StaticType, Value } from './values.ts';

/** Compiles a condition; what edgeHub's compiler refuses is refused here, with the position. */
export function compileCondition(expression: Expression): (input: ConditionInput) => boolean {
  const compiled = compile(expression);
  // only a true makes a message pass: strings, numbers and "undefined" do not
  return (input) => compiled.run(input) === true;
}

function compile(expression: Expression): Compiled {
  switch (expression.kind) {
    case 'literal':
      return { type: typeOf(expression.value), run: () => expression.value };
    case 'property':
      return { type: 'string', run: (input) => input.application(expression.name) };
    case 'sysprop':
      return compileSystemProperty(expression.name, expression.escaped, expression.token);
    case 'call':
      return compileCall(expression.name, expression.args.map(compile), expression.token);
    case 'unary':
      return compileUnary(expression.op, compile(expression.operand), expression.token);
    case 'binary':
      return compileBinary(
        expression.op,
        compile(expression.left),
        compile(expression.right),
        expression.token,
      );
  }
}

function typeOf(value: Value): StaticType {
  if (value === null) return 'null';
  const type = typeof value;
  if (type === 'boolean') return 'bool';
  return type === 'string' || type === 'number' ? type : 'undefined';
}

/** `$name`: an application property of that very name goes first, unless written `{$name}`; `$body.…` reads the body. */
function compileSystemProperty(name: string, escaped: boolean, token: Token): Compiled {
  const own = (input: ConditionInput) => (escaped ? undefined : input.application(name));
  if (/^\$body\./i.test(name)) {
    const read = compileBodyPath(name.slice('$body.'.length), token.at);
    if (/[[\]]/.test(name)) return { type: 'body', run: (input) => read(input.body()) };
    return { type: 'body', run: (input) => own(input) ?? read(input.body()) };
  }
  if (/[[\]]/.test(name)) {
    throw new RouteSyntaxError(`"${name}" is no system property; only $body paths take [n]`, token.at);
  }
  return { type: 'string', run: (input) => own(input) ?? input.system(name.slice(1)) };
}

function compileCall(name: string, args: readonly Compiled[], token: Token): Compiled {
  const builtin = builtins.get(name.toLowerCase());
  if (builtin === undefined) {
    const hint =
      name.toLowerCase() === 'twin_change_includes'
        ? 'is not emulated by the local edge'
        : 'is no function of route conditions';
    throw new RouteSyntaxError(`${name} ${hint}`, token.at);
  }
  const fits = builtin.takes.some((wanted) => {
    const types =
      builtin.variadic && args.length > wanted.length
        ? args.map((_, index) => wanted[Math.min(index, wanted.length - 1)])
        : wanted;
    return (
      types.length === args.length &&
      types.every((type, index) => type === 'any' || match(type, args[index]?.type))
    );
  });
  if (!fits) {
    const given = args.map((arg) => arg.type).join(', ');
    const wanted = builtin.takes.map((types) => `(${types.join(', ')})`).join(' or ');
    throw new RouteSyntaxError(`${name} takes ${wanted}, not (${given})`, token.at);
  }
  return { type: builtin.gives, run: (input) => builtin.run(...args.map((arg) => arg.run(input))) };
}

function compileUnary(op: string, operand: Compiled, token: Token): Compiled {
  if (op === 'not') {
    require(token, operand.type === 'null' || match('bool', operand.type), 'bool', operand);
    return { type: 'bool', run: (input) => not(operand.run(input)) };
  }
  require(token, match('number', operand.type), 'number', operand);
  return { type: 'number', run: (input) => numeric(operand.run(input), 0, (x) => -x) };
}

function compileBinary(op: string, left: Compiled, right: Compiled, token: Token): Compiled {
  switch (op) {
    case 'and':
    case 'or': {
      for (const side of [left, right]) {
        require(token, ['null', 'bool', 'undefined', 'body'].includes(side.type), 'bool', side);
      }
      // edgeHub takes a body value at the right only when there is one at the left too
      require(token, right.type !== 'body' || left.type === 'body', 'bool', right);
      const join = op === 'and' ? and : or;
      return { type: 'bool', run: (input) => join(left.run(input), right.run(input)) };
    }
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      require(token, match('number', left.type), 'number', left);
      require(token, match('number', right.type), 'number', right);
      return {
        type: 'number',
        run: (input) => numeric(left.run(input), right.run(input), arithmetic[op]),
      };
    case '||':
      return compileCall('concat', [left, right], token);
    case '??':
      require(token, match(left.type, right.type), left.type, right);
      return { type: left.type, run: (input) => left.run(input) ?? right.run(input) };
    default:
      require(token, match(left.type, right.type), left.type, right);
      return { type: 'bool', run: (input) => compare(op, left.run(input), right.run(input)) };
  }
}

/** A body value fits every type; other types fit themselves. */
function match(wanted: StaticType | undefined, given: StaticType | undefined): boolean {
  if (wanted === given) return true;
  const comparable = ['string', 'number', 'bool', 'null'];
  return (
    (given === 'body' && comparable.includes(wanted ?? '')) ||
    (wanted === 'body' && comparable.includes(given ?? ''))
  );
}

function require(token: Token, holds: boolean, wanted: StaticType, given: Compiled): void {
  if (holds) return;
  const hint =
    wanted === 'number' || given.type === 'number' ? '; properties are strings, use as_number(…)' : '';
  throw new RouteSyntaxError(`"${token.text}" wants a ${wanted} here, not a ${given.type}${hint}`, token.at);
}

const arithmetic = {
  '+': (x: number, y: number) => x + y,
  '-': (x: number, y: number) => x - y,
  '*': (x: number, y: number) => x * y,
  '/': (x: number, y: number) => x / y,
  '%': (x: number, y: number) => x % y,
};

function numeric(x: Value, y: Value, compute: (x: number, y: number) => number): Value {
  if (typeof x !== 'number' || typeof y !== 'number') return undefined;
  const result = compute(x, y);
  return Number.isNaN(result) ? undefined : result;
}

/** Three-valued logic: what is not a bool is "undefined". */
function not(value: Value): Value {
  return typeof value === 'boolean' ? !value : undefined;
}

function and(x: Value, y: Value): Value {
  if (x === false || y === false) return false;
  return x === true && y === true ? true : undefined;
}

function or(x: Value, y: Value): Value {
  if (x === true || y === true) return true;
  return x === false && y === false ? false : undefined;
}

/** The order of types among each other, for body values of different types. */
const typeOrder = ['bool', 'number', 'string', 'null'];

function compare(op: string, x: Value, y: Value): Value {
  if (x === undefined || y === undefined) return undefined;
  const order = orderOf(x, y);
  switch (op) {
    case '=':
      return order === 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    default:
      return order !== 0;
  }
}

function orderOf(x: NonNullable<Value> | null, y: NonNullable<Value> | null): number {
  if (x === null || y === null || typeof x !== typeof y) {
    return typeOrder.indexOf(typeOf(x)) - typeOrder.indexOf(typeOf(y));
  }
  if (x === y) return 0;
  return x < y ? -1 : 1;
}
