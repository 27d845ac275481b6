import type { ConfigurationContent, JsonValue } from '../hub/hub-api.ts';
import { joinCreateOptions, splitCreateOptions } from './create-options.ts';
import type { Finding } from './finding.ts';
import { readJson } from './json-text.ts';
import type { EnvironmentValues, ModuleSource } from './template-sources.ts';
import { leftovers, looksForgotten } from './leftovers.ts';
import { readModuleImages, readPlaceholder, resolvePlaceholder } from './module-images.ts';
import type { ModuleImages } from './module-images.ts';
import { modulesOf } from './manifest-modules.ts';
import { isRecord } from './record.ts';
import { validateManifest } from './validate-manifest.ts';
import { fillVariables } from './variables.ts';

export interface TemplateInput {
  readonly templateText: string;
  /** For findings only. */
  readonly templatePath: string;
  readonly env: EnvironmentValues;
  readonly modules: readonly ModuleSource[];
  /** `amd64`, `arm64v8`, `arm32v7`; what `${MODULES.<name>}` without a platform stands for. */
  readonly platform: string;
  /** What the reading of the files had to say. */
  readonly remarks?: readonly Finding[];
}

export interface Expansion {
  /** As `az iot edge set-modules --content` takes it; undefined when a finding is an error. */
  readonly manifest: ConfigurationContent | undefined;
  /** What was made of the template so far, errors or not; undefined when it has no modulesContent. */
  readonly content: ConfigurationContent['modulesContent'] | undefined;
  readonly findings: readonly Finding[];
  /** The modules that have a module.json, with the names of their images. */
  readonly modules: readonly ModuleImages[];
}

/** Makes a deployment manifest of a template, exactly as iotedgedev and VS Code do. Pure; every mistake is found at once. */
export function expandTemplate(input: TemplateInput): Expansion {
  const findings: Finding[] = [...(input.remarks ?? [])];
  const modules: ModuleImages[] = [];
  const unreadable: string[] = [];
  for (const source of input.modules) {
    const images = readModuleImages(source, input.env);
    if ('severity' in images) {
      findings.push(images);
      unreadable.push(source.name);
    } else modules.push(images);
  }
  const filled = fillVariables(input.templateText, input.env);
  const reading = readJson(filled.text);
  if (!reading.ok) {
    const { line, column, problem } = reading.mistake;
    const missing = filled.unknown.filter(looksForgotten);
    const hint = missing.length === 0 ? '' : ` These variables are not set: ${missing.join(', ')}.`;
    const path = `${input.templatePath}:${line}:${column}`;
    findings.push({
      severity: 'error',
      path,
      problem: `not JSON after variables were filled in: ${problem}.${hint}`,
    });
    return { manifest: undefined, content: undefined, findings, modules };
  }
  const content = modulesContentOf(reading.value);
  if (content === undefined) {
    findings.push({ severity: 'error', path: '$', problem: 'there is no object "modulesContent".' });
    return { manifest: undefined, content: undefined, findings, modules };
  }
  for (const { module, place } of modulesOf(content)) {
    expandModule(module, place, { ...input, images: modules, unreadable }, findings);
  }
  findings.push(...leftovers(content, filled.unknown));
  findings.push(...validateManifest(content));
  const usable = !findings.some((finding) => finding.severity === 'error');
  return { manifest: usable ? { modulesContent: content } : undefined, content, findings, modules };
}

type Content = Record<string, Record<string, JsonValue>>;

/** `moduleContent` is VS Code's old spelling; `content` wraps a layered deployment. `$schema-template` goes, being the tools' own. */
function modulesContentOf(value: unknown): Content | undefined {
  if (!isRecord(value)) return undefined;
  const inner = isRecord(value['content']) ? value['content'] : value;
  const content = inner['modulesContent'] ?? inner['moduleContent'];
  return isRecord(content) ? (content as Content) : undefined;
}

function expandModule(
  module: Record<string, unknown>,
  place: string,
  input: TemplateInput & {
    readonly images: readonly ModuleImages[];
    /** Modules whose module.json has a finding of its own. */
    readonly unreadable: readonly string[];
  },
  findings: Finding[],
): void {
  const settings = module['settings'];
  if (!isRecord(settings)) return;
  const wrong = (name: string, problem: string) =>
    findings.push({ severity: 'error', path: `${place}.settings.${name}`, problem });
  const image = settings['image'];
  const placeholder = typeof image === 'string' ? readPlaceholder(image) : null;
  if (placeholder !== null && !input.unreadable.includes(placeholder.module ?? '')) {
    const resolved = resolvePlaceholder(
      placeholder,
      input.images,
      input.platform,
      input.env['CONTAINER_TAG'],
    );
    if ('problem' in resolved) wrong('image', resolved.problem);
    else settings['image'] = resolved.image;
  }
  const joined = joinCreateOptions(settings);
  if (typeof joined !== 'string') {
    wrong('createOptions', joined.problem);
    return;
  }
  for (const key of Object.keys(settings)) if (/^createoptions\d*$/i.test(key)) delete settings[key];
  const pieces = splitCreateOptions(toAscii(joined));
  if ('problem' in pieces && Object.keys(pieces).length === 1) wrong('createOptions', pieces.problem);
  else Object.assign(settings, pieces);
}

/** As iotedgedev writes it; in JSON only texts can hold other characters. */
function toAscii(json: string): string {
  return json.replace(/[^\0-\x7f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
