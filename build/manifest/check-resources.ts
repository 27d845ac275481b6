import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { entriesOf, isRecord } from '../../local-edge/src/manifest/record.ts';
import { commandOf } from './check-endpoints.ts';
import type { DeployedModule } from './content.ts';
import { envPlace, environmentOf, error, optionPlace } from './content.ts';

const MB = 1024 * 1024;
/** What V8 does not count: code, stacks, buffers, the C++ side. */
const HEAP_SHARE = 0.6;
const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1e6,
  mb: MB,
  g: 1e9,
  gb: 1024 * MB,
};

/** Host ports that two modules would bind: the second one would never start. */
export function checkHostPorts(modules: readonly DeployedModule[]): Finding[] {
  const findings: Finding[] = [];
  const taken: { readonly port: string; readonly address: string; readonly name: string }[] = [];
  for (const module of modules) {
    const bindings = module.hostConfig['PortBindings'];
    for (const [key, list] of Object.entries(isRecord(bindings) ? bindings : {})) {
      for (const binding of entriesOf(list)) {
        const { HostPort: host, HostIp: ip } = isRecord(binding) ? binding : {};
        if (typeof host !== 'string' || host === '') continue;
        // The engine reads 0443 as 443.
        const port = `${Number(host)}/${key.split('/')[1] ?? 'tcp'}`;
        const address = typeof ip === 'string' && ip !== '0.0.0.0' && ip !== '::' ? ip : '';
        const other = taken.find(
          (one) => one.port === port && (one.address === address || one.address === '' || address === ''),
        );
        if (other !== undefined) {
          const path = optionPlace(module, `HostConfig.PortBindings['${key}']`);
          findings.push(error(path, `host port ${port} is bound by ${other.name} already.`));
        }
        taken.push({ port, address, name: module.name });
      }
    }
  }
  return findings;
}

/** RD-4: a fork for rewriting the AOF may need as much again. RD-25: a heap that does not fit is ended by the kernel, not by V8. */
export function checkMemory(module: DeployedModule): Finding[] {
  const limit = module.hostConfig['Memory'];
  if (typeof limit !== 'number' || limit <= 0) return [];
  const command = commandOf(module);
  const findings: Finding[] = [];
  const maxmemory = /--maxmemory[\s=]+["']?(\d+)([a-z]*)/i.exec(command);
  if (
    maxmemory !== null &&
    Number(maxmemory[1]) * (units[maxmemory[2]?.toLowerCase() ?? ''] ?? 1) > limit / 2
  ) {
    const path = optionPlace(module, 'Cmd');
    findings.push(
      error(path, 'maxmemory must be half of HostConfig.Memory at most: rewriting the AOF copies.'),
    );
  }
  for (const [path, text] of [
    [envPlace(module, 'NODE_OPTIONS'), environmentOf(module)['NODE_OPTIONS'] ?? ''],
    [optionPlace(module, 'Cmd'), command],
  ] as const)
    if (heapsOf(text, limit).some((heap) => heap > limit * HEAP_SHARE))
      findings.push(error(path, '--max-old-space-size must be 60 % of HostConfig.Memory at most.'));
  return findings;
}

/** What `--max-old-space-size` and its other spellings ask of V8, in bytes; a percentage is one of the container's limit. */
function heapsOf(text: string, limit: number): number[] {
  const option = /--max[-_]old[-_]space[-_]size([-_]percentage)?[\s=]+["']?(\d+)/g;
  return [...text.matchAll(option)].map(([, percentage, value]) =>
    percentage === undefined ? Number(value) * MB : (Number(value) / 100) * limit,
  );
}
