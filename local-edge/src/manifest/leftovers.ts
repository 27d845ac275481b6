import { joinCreateOptions } from './create-options.ts';
import type { Finding } from './finding.ts';
import { memberPath } from './finding.ts';
import { readPlaceholder } from './module-images.ts';
import { isRecord } from './record.ts';

/** Parts of createOptions that a shell may read, which has variables of its own. */
const commands = /^(?:Cmd|Entrypoint|Shell|OnBuild|Test)$/;

/**
 * References that nothing was put in for, where they cannot be meant to stay. The tools leave them as they are, and a `$` may stand for
 * itself: a price, a property of a message, a variable of a shell.
 */
export function leftovers(content: unknown, unknown: readonly string[]): Finding[] {
  return walk(content, '$.modulesContent', { unknown: new Set(unknown), isCommand: false });
}

/** What looks like a variable of .env without braces: those have no small letters, and begin with no digit. */
export function looksForgotten(reference: string): boolean {
  return /^\$(?:\{|[A-Z_][A-Z\d_]*$)/.test(reference);
}

interface Context {
  readonly unknown: ReadonlySet<string>;
  readonly isCommand: boolean;
}

function walk(content: unknown, path: string, context: Context): Finding[] {
  if (Array.isArray(content)) return content.flatMap((one, index) => walk(one, `${path}[${index}]`, context));
  if (isRecord(content)) {
    const options = optionsOf(content);
    return [
      ...(options === undefined ? [] : walk(options, `${path}.createOptions`, context)),
      ...Object.entries(content)
        .filter(([key]) => options === undefined || !/^createOptions\d*$/i.test(key))
        .flatMap(([key, value]) => [
          ...ofText(key, path, context),
          ...walk(value, memberPath(path, key), {
            ...context,
            isCommand: context.isCommand || (path.includes('.createOptions') && commands.test(key)),
          }),
        ]),
    ];
  }
  return typeof content === 'string' ? ofText(content, path, context) : [];
}

/** createOptions as they are meant, since a reference may stand on two of their pieces. */
function optionsOf(settings: Record<string, unknown>): Record<string, unknown> | undefined {
  if (!Object.keys(settings).some((key) => /^createOptions\d*$/i.test(key))) return undefined;
  const text = joinCreateOptions(settings);
  if (typeof text !== 'string') return undefined;
  try {
    const options: unknown = JSON.parse(text);
    return isRecord(options) ? options : undefined;
  } catch {
    return undefined;
  }
}

function ofText(text: string, path: string, { unknown, isCommand }: Context): Finding[] {
  const isImage = path.endsWith('.image');
  const findings: Finding[] = [];
  for (const reference of new Set(text.match(/\$\w+|\$\{\w+\}/g) ?? [])) {
    const braced = reference.startsWith('${');
    // Conditions of routes name properties of a message in the same way: $body.x, $connectionModuleId.
    const mayStay = isCommand || /\.routes(\.|\[)/.test(path) || !looksForgotten(reference);
    if (!unknown.has(reference) || (!braced && !isImage && mayStay)) continue;
    const name = reference.replace(/^\$\{?|\}$/g, '');
    findings.push({
      severity: braced || isImage ? 'error' : 'warning',
      path,
      problem: `the variable ${reference} is not set. Set it in .env or in the environment${braced ? '' : ` (${name}='${reference}' leaves it as it is)`}.`,
    });
  }
  return [...findings, ...placeholderProblems(text, path)];
}

function placeholderProblems(text: string, path: string): Finding[] {
  const wrong = (problem: string): Finding[] => [{ severity: 'error', path, problem }];
  const placeholder = /\$\{(?:MODULES\.|MODULEDIR<)[^}]*\}/.exec(text)?.[0];
  if (placeholder !== undefined && readPlaceholder(text) === null)
    return wrong(`${placeholder} must be the whole image, and nothing else.`);
  if (placeholder !== undefined && !path.endsWith('.settings.image'))
    return wrong(`${placeholder} is filled in only as settings.image of a module.`);
  if (placeholder === undefined && /\$\{[^}]*[^\w}][^}]*\}/.test(text) && path.endsWith('.image'))
    return wrong(
      'this is no placeholder of the tools: those are ${NAME}, ${MODULES.<name>[.<platform>]} and ${MODULEDIR<folder>[.<platform>]}.',
    );
  return [];
}
