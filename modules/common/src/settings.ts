import type { JsonValue } from './edge/edge.ts';

/**
 * One setting, declared once: its names, type, default, unit and meaning. The parser, the TypeScript type, the README table
 * and the check of the deployment templates all come from it.
 */
export interface Field<T> {
  /** For tables: `text`, `integer`, `true or false`, `one of a, b` … */
  readonly type: string;
  /** Names in the environment and in the config file; the first is the documented one, the others are accepted. */
  readonly env: readonly string[];
  /** Name in the desired properties, or null when the host alone decides. */
  readonly twin: string | null;
  readonly default: T;
  readonly unit?: string;
  readonly description: string;
  /** Never logged, reported or shown; also readable from the file named by `<ENV>_FILE`. */
  readonly secret: boolean;
  /** Taken over without rebuilding the component. */
  readonly live: boolean;
  /** Both throw a FieldProblem whose text says what is expected, never what was given. */
  fromText(text: string): T;
  fromJson(value: JsonValue): T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

export type SettingsOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };
