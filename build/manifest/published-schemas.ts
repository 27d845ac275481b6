import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';

export type PublishedSchema = 'azure-iot-edge-deployment-2.0' | 'azure-iot-edge-deployment-template-3.0';

/** Something that a published schema refuses. */
export interface Refusal {
  /** Names and positions from the root to the value. */
  readonly path: readonly string[];
  /** Keyword of JSON schema, such as `required`. */
  readonly keyword: string;
  /** Path of the keyword in the schema, with the alternatives that it is part of: `…/anyOf/0/required`. */
  readonly schemaPath: string;
  /** The name that `required` misses or `additionalProperties` does not know. */
  readonly property: string | undefined;
  /** The part of the schema with the keyword. */
  readonly schema: Readonly<Record<string, unknown>>;
  readonly value: unknown;
}

const folder = join(import.meta.dirname, 'schemas');
const read = (file: string): object => JSON.parse(readFileSync(file, 'utf8')) as object;

/** What a published schema of the IoT Edge tools has against a value; nothing when it holds. */
export function refusals(name: PublishedSchema, value: unknown): Refusal[] {
  const ajv = validator();
  if (ajv.validate(read(join(folder, `${name}.json`)), value) === true) return [];
  return (ajv.errors ?? []).map(({ dataPath, keyword, schemaPath, params, parentSchema = {}, data }) => ({
    path: dataPath
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')),
    keyword,
    schemaPath,
    property:
      'missingProperty' in params
        ? params.missingProperty
        : 'additionalProperty' in params
          ? params.additionalProperty
          : undefined,
    schema: parentSchema as Readonly<Record<string, unknown>>,
    value: data as unknown,
  }));
}

/** Draft 04, as the published schemas are. */
function validator(): InstanceType<typeof Ajv> {
  const ajv = new Ajv({
    schemaId: 'id',
    meta: false,
    logger: false,
    allErrors: true,
    verbose: true,
    jsonPointers: true,
  });
  ajv.addMetaSchema(read(fileURLToPath(import.meta.resolve('ajv/lib/refs/json-schema-draft-04.json'))));
  // The schemas name each other by this address, whatever their own id says.
  for (const name of ['azure-iot-edgeagent-deployment-1.1', 'azure-iot-edgehub-deployment-1.1'])
    ajv.addSchema({
      ...read(join(folder, `${name}.json`)),
      id: `https://json.schemastore.org/${name}.json`,
    });
  return ajv;
}
