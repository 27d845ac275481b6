import { FieldProblem } from '../settings/settings.ts';

/** What may be shown of a SAS: never the signature. */
export interface SasFacts {
  /** `sp`: the permissions, as in `r`. */
  readonly permissions: string | undefined;
  /** `st` and `se`: from when until when it is valid, in milliseconds since 1970. */
  readonly startsAt: number | undefined;
  readonly expiresAt: number | undefined;
}

/**
 * Accepts a SAS with or without the leading `?`, or a whole blob URL as the portal offers it for copying. Returns the query
 * without `?`. A problem never repeats what was given.
 */
export function parseSas(text: string): string {
  const trimmed = text.trim();
  const mark = trimmed.indexOf('?');
  const query = mark === -1 ? trimmed : trimmed.slice(mark + 1);
  const names = new URLSearchParams(query);
  if (/\s/.test(query) || !names.has('sig') || names.get('sig') === '') {
    throw new FieldProblem('expected a SAS token: sp=…&se=…&sv=…&sr=…&sig=…');
  }
  return query;
}

export function sasFacts(query: string): SasFacts {
  const fields = new URLSearchParams(query);
  return {
    permissions: fields.get('sp') ?? undefined,
    startsAt: time(fields.get('st')),
    expiresAt: time(fields.get('se')),
  };
}

function time(text: string | null): number | undefined {
  const at = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
