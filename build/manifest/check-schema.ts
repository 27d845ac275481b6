import { didYouMean } from '../../local-edge/src/cli/did-you-mean.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { memberPath } from '../../local-edge/src/manifest/finding.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import { error } from './content.ts';
import type { Content } from './content.ts';
import { refusals } from './published-schemas.ts';
import type { Refusal } from './published-schemas.ts';

/**
 * The manifest against the schema that Microsoft publishes for deployments. What others have found at a place is left to them, since
 * they know more of it than a schema does.
 */
export function checkSchema(content: Content, others: readonly Finding[]): Finding[] {
  // A layered deployment names its parts by path; no schema is published for that.
  const isLayered = Object.values(content).some((part: unknown) =>
    Object.keys(isRecord(part) ? part : {}).some((key) => key.startsWith('properties.desired.')),
  );
  if (isLayered) return [];
  return refusals('azure-iot-edge-deployment-2.0', { modulesContent: content })
    .filter(isTheOneToTell)
    .map((refusal) => ({ refusal, finding: findingOf(refusal) }))
    .filter(({ refusal, finding }) => !others.some((other) => covers(other, finding, refusal.keyword)))
    .map(({ finding }) => finding);
}

function findingOf({ path, property, ...refusal }: Refusal): Finding {
  return error(
    (property === undefined ? path : [...path, property]).reduce(memberPath, '$'),
    sentence({ ...refusal, property }),
  );
}

/** modulesContent, $edgeHub, properties.desired, routes, and its name. */
const ROUTE_DEPTH = 5;

/** A route is a text or an object: of the two alternatives only what is wrong with the one that was meant is told. */
function isTheOneToTell({ keyword, schemaPath, value, path }: Refusal): boolean {
  const ofObject = schemaPath.includes('/anyOf/0/');
  if (keyword === 'anyOf') return !isRecord(value);
  if (ofObject) return path.length > ROUTE_DEPTH || keyword !== 'type';
  return !schemaPath.includes('/anyOf/');
}

const types: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
};

function sentence({ keyword, schema, property }: Omit<Refusal, 'path'>): string {
  switch (keyword) {
    case 'additionalProperties':
      return unknownName(property ?? '', schema);
    case 'required':
      return 'it is missing, and the published schema of deployments demands it.';
    case 'type':
      return `it must be ${[schema['type']]
        .flat()
        .map((name) => types[String(name)] ?? String(name))
        .join(' or ')}.`;
    case 'enum':
      return `it must be ${[schema['enum']].flat().join(' or ')}.`;
    case 'minimum':
    case 'maximum':
      return `it must be from ${String(schema['minimum'])} to ${String(schema['maximum'])}.`;
    case 'pattern':
      return 'it must not be empty or hold blanks.';
    case 'anyOf':
      return 'it must be the text of a route, or an object with it as "route".';
    default:
      return `the published schema of deployments refuses it (${keyword}).`;
  }
}

function unknownName(name: string, { properties, patternProperties }: Refusal['schema']): string {
  const pieces = Object.keys(isRecord(patternProperties) ? patternProperties : {}).some((pattern) =>
    pattern.includes('createOptions'),
  );
  const known = [
    ...Object.keys(isRecord(properties) ? properties : {}),
    ...(pieces ? ['createOptions'] : []),
  ];
  if (known.length === 0) return 'the published schema of deployments does not take this name.';
  const near = didYouMean(name, known);
  return `the published schema of deployments knows no such property here${near === '' ? `; it knows ${known.join(', ')}.` : near}`;
}

/** Whether a finding is of the same place, of something in it, or of what is around it and names it. */
function covers(other: Finding, { path }: Finding, keyword: string): boolean {
  const [wide, exact] = [plain(other.path), plain(path)];
  if (wide === exact) return true;
  // What is wrong in something with an unknown name does not say that the name is.
  if (wide.startsWith(`${exact}.`)) return keyword !== 'additionalProperties';
  return exact.startsWith(`${wide}.`) && other.problem.includes(`"${exact.slice(wide.length + 1)}"`);
}

/** Checks write the names of a path in one of two ways. */
function plain(path: string): string {
  return path.replace(/\['([^']*)'\]/g, '.$1');
}
