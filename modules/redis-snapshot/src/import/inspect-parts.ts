import type { ImportOptions } from './import-options.ts';
import { inspect } from './import-plan.ts';
import type { ImportPart } from './import-plan.ts';

/** Reads each file whose plan is not known from an earlier start of the run. */
export async function inspectParts(options: ImportOptions): Promise<readonly ImportPart[]> {
  const { inputs, plans, signal } = options;
  const parts: ImportPart[] = [];
  for (const [index, input] of inputs.entries()) {
    const known = plans[index]?.inputVersion === input.version ? plans[index] : undefined;
    const report = (bytes: number): void => options.progress({ phase: 'check', file: index + 1, bytes });
    const plan = known ?? (await inspect(input, signal, report));
    options.checkPlan?.(plan, index);
    parts.push({ input, plan });
  }
  await options.keepPlans(parts.map(({ plan }) => plan));
  return parts;
}
