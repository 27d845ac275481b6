/** The parsed form of a query, and its words. */
export type Operand =
  { readonly path: readonly string[] } | { readonly value: string | number | boolean | null };

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly condition: Condition }
  | {
      readonly kind: 'compare';
      readonly operator: Comparison;
      readonly left: Operand;
      readonly right: Operand;
    }
  | {
      readonly kind: 'in';
      readonly negated: boolean;
      readonly left: Operand;
      readonly values: readonly Operand[];
    }
  | { readonly kind: 'isDefined'; readonly path: readonly string[] };

export interface Column {
  readonly path: readonly string[];
  readonly name: string;
}

export interface Query {
  readonly source: 'devices' | 'devices.modules';
  readonly top: number | null;
  /** `count`: one row with the number under that name. */
  readonly select: 'all' | { readonly count: string } | { readonly columns: readonly Column[] };
  readonly where: Condition | null;
}

/** Why a text is not a query that the local edge understands. */
export class QueryError extends Error {}

export type Token =
  | { readonly kind: 'word' | 'symbol'; readonly text: string }
  | { readonly kind: 'value'; readonly value: string | number; readonly text: string };

const TOKEN =
  /\s*(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)"|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_$][\w$-]*)|(<=|>=|!=|<>|[=<>(),.[\]*]))/y;

/** Splits a query; `tags.a-b` stays one path, since keys may hold a hyphen. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new QueryError(`Syntax error at position ${at + 1}`);
    const [whole, single, double, number, word, symbol] = match;
    if (single !== undefined)
      tokens.push({ kind: 'value', value: single.replaceAll("''", "'"), text: whole });
    else if (double !== undefined)
      tokens.push({ kind: 'value', value: double.replaceAll('""', '"'), text: whole });
    else if (number !== undefined) tokens.push({ kind: 'value', value: Number(number), text: number });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else tokens.push({ kind: 'symbol', text: symbol ?? '' });
  }
  return tokens;
}
