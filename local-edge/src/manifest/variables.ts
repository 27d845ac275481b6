import { ownValue } from './record.ts';
import type { EnvironmentValues } from './template-sources.ts';

/** Names with a meaning of their own in a manifest; the tools never fill them in. */
const reserved = new Set(['$edgeHub', '$edgeAgent', '$upstream', '$schema']);

export interface Filled {
  readonly text: string;
  /** References to names that are not set, as written: `$X` or `${X}`. They stay in the text. */
  readonly unknown: readonly string[];
}

/** Fills in `$NAME` and `${NAME}`, as iotedgedev and VS Code do: in the text, before it is read as JSON. */
export function fillVariables(text: string, env: EnvironmentValues): Filled {
  const unknown = new Set<string>();
  const filled = text.replace(
    /\$([A-Za-z0-9_]+)|\$\{([A-Za-z0-9_]+)\}/g,
    (reference, bare?: string, braced?: string) => {
      if (reserved.has(reference)) return reference;
      const value = ownValue(env, bare ?? braced ?? '');
      // An empty value counts as set: iotedgedev writes it, VS Code keeps the reference.
      if (value !== undefined) return value;
      unknown.add(reference);
      return reference;
    },
  );
  return { text: filled, unknown: [...unknown] };
}
