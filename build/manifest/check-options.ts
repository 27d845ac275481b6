import { didYouMean } from '../../local-edge/src/cli/did-you-mean.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import { checkMounts } from './check-mounts.ts';
import { checkValues } from './check-option-values.ts';
import type { DeployedModule, Wrong } from './content.ts';
import { error, optionPlace } from './content.ts';
import { containerShapes, hostShapes } from './option-shapes.ts';
import type { Shape, Shapes } from './option-shapes.ts';

/** createOptions against Docker's container create request: the names that it knows, the types of their values, and its own limits. */
export function checkOptions(module: DeployedModule): Finding[] {
  if (module.options === null) return [];
  const findings: Finding[] = [];
  const wrong: Wrong = (path, problem) => void findings.push(error(optionPlace(module, path), problem));
  const shapes = new Map([...containerShapes, ['HostConfig', { object: hostShapes }] as const]);
  checkNames(module.options, shapes, '', wrong);
  checkValues(module.options, module.hostConfig, wrong);
  checkMounts(module.hostConfig, wrong);
  return findings;
}

function checkNames(given: Record<string, unknown>, shapes: Shapes, at: string, wrong: Wrong): void {
  for (const [name, value] of Object.entries(given)) {
    const path = `${at}${at === '' ? '' : '.'}${name}`;
    const shape = shapes.get(name);
    if (shape === undefined)
      wrong(path, `Docker knows no such option${didYouMean(name, [...shapes.keys()]) || '.'}`);
    else if (value !== null) checkShape(value, shape, path, wrong);
  }
}

function checkShape(value: unknown, shape: Shape, path: string, wrong: Wrong): void {
  if (typeof shape === 'string') {
    if (!simple[shape].fits(value)) wrong(path, `it must be ${simple[shape].what}.`);
  } else if ('object' in shape) {
    if (isRecord(value)) checkNames(value, shape.object, path, wrong);
    else wrong(path, 'it must be an object.');
  } else if (Array.isArray(value)) {
    for (const [index, one] of value.entries())
      checkShape(one, { object: shape.objects }, `${path}[${index}]`, wrong);
  } else wrong(path, 'it must be a list of objects.');
}

interface Simple {
  readonly what: string;
  readonly fits: (value: unknown) => boolean;
}

const isText = (value: unknown): boolean => typeof value === 'string';
const listOf =
  (fits: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(fits);
const mapOf =
  (fits: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    isRecord(value) && Object.values(value).every((one) => one === null || fits(one));

const simple: Readonly<Record<Extract<Shape, string>, Simple>> = {
  text: { what: 'a text', fits: isText },
  flag: { what: 'true or false', fits: (value) => typeof value === 'boolean' },
  integer: { what: 'a whole number', fits: Number.isInteger },
  integers: { what: 'a list of whole numbers', fits: listOf(Number.isInteger) },
  texts: { what: 'a list of texts', fits: listOf(isText) },
  words: { what: 'a list of texts', fits: (value) => isText(value) || listOf(isText)(value) },
  textMap: { what: 'an object of texts', fits: mapOf(isText) },
  objectMap: { what: 'an object of objects', fits: mapOf(isRecord) },
  listMap: { what: 'an object of lists', fits: mapOf(Array.isArray) },
  list: { what: 'a list', fits: Array.isArray },
};
