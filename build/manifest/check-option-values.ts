import { isIP } from 'node:net';
import { didYouMean } from '../../local-edge/src/cli/did-you-mean.ts';
import { entriesOf, isRecord } from '../../local-edge/src/manifest/record.ts';
import type { Wrong } from './content.ts';

const LEAST_MEMORY = 6 * 1024 * 1024;
const restartPolicies = ['', 'no', 'always', 'unless-stopped', 'on-failure'];
const logDrivers =
  'json-file local none syslog journald gelf fluentd awslogs splunk gcplogs etwlogs logentries'.split(' ');
/** capabilities(7), and the word for every one. */
const capabilities =
  `ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID
   IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON
   SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE
   SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`.split(/\s+/);
const securityOptions =
  /^(?:no-new-privileges(?:[=:](?:true|false))?|(?:label|apparmor|seccomp)[=:].+|(?:systempaths|credentialspec|writable-cgroups)=.+)$/;

/** Values of createOptions that the engine refuses, of the right type as they may be. Of a wrong type nothing is said here. */
export function checkValues(
  options: Record<string, unknown>,
  host: Record<string, unknown>,
  wrong: Wrong,
): void {
  checkHealth(options['Healthcheck'], wrong);
  checkPorts(host['PortBindings'], wrong);
  for (const [index, line] of textsOf(options['Env']).entries())
    if (line === '' || line.startsWith('=')) wrong(`Env[${index}]`, 'a variable has a name before the =.');
  const memory = host['Memory'];
  if (typeof memory === 'number' && memory !== 0 && memory < LEAST_MEMORY)
    wrong('HostConfig.Memory', 'the container engine takes no less than 6 MB.');
  const policy = isRecord(host['RestartPolicy']) ? host['RestartPolicy']['Name'] : undefined;
  if (typeof policy === 'string' && !restartPolicies.includes(policy))
    wrong('HostConfig.RestartPolicy.Name', `it must be one of ${restartPolicies.slice(1).join(', ')}.`);
  const driver = isRecord(host['LogConfig']) ? host['LogConfig']['Type'] : undefined;
  // A driver of another maker has the name of its image.
  if (typeof driver === 'string' && driver !== '' && !/[/:]/.test(driver) && !logDrivers.includes(driver))
    wrong(
      'HostConfig.LogConfig.Type',
      `Docker has no such driver of logs${didYouMean(driver, logDrivers) || '.'}`,
    );
  for (const name of ['CapAdd', 'CapDrop'])
    for (const [index, one] of textsOf(host[name]).entries()) {
      const capability = one.toUpperCase().replace(/^CAP_/, '');
      if (!capabilities.includes(capability))
        wrong(
          `HostConfig.${name}[${index}]`,
          `Linux knows no such capability${didYouMean(capability, capabilities) || '.'}`,
        );
    }
  for (const [index, one] of textsOf(host['SecurityOpt']).entries())
    if (!securityOptions.test(one))
      wrong(
        `HostConfig.SecurityOpt[${index}]`,
        'it must be no-new-privileges, or label=, apparmor=, seccomp= or systempaths= with a value.',
      );
}

function checkHealth(check: unknown, wrong: Wrong): void {
  if (!isRecord(check)) return;
  const [first] = textsOf(check['Test']);
  if (first !== undefined && !['CMD', 'CMD-SHELL', 'NONE'].includes(first))
    wrong('Healthcheck.Test', 'it must begin with CMD, CMD-SHELL or NONE.');
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval']) {
    const value = check[name];
    if (typeof value === 'number' && value !== 0 && Number.isInteger(value) && value < 1_000_000)
      wrong(`Healthcheck.${name}`, 'it must be nanoseconds: 1000000 (a millisecond) or more.');
  }
  if (typeof check['Retries'] === 'number' && check['Retries'] < 0)
    wrong('Healthcheck.Retries', 'it must not be below 0.');
}

function checkPorts(bindings: unknown, wrong: Wrong): void {
  for (const [port, list] of Object.entries(isRecord(bindings) ? bindings : {})) {
    const path = `HostConfig.PortBindings['${port}']`;
    const number = Number(/^(\d+)(?:\/(?:tcp|udp|sctp))?$/.exec(port)?.[1] ?? 0);
    if (number < 1 || number > 65_535) wrong(path, 'a port is a number from 1 to 65535 with /tcp or /udp.');
    for (const binding of entriesOf(list)) {
      const { HostPort: host, HostIp: address } = isRecord(binding) ? binding : {};
      if (typeof host !== 'string' || !/^\d{1,5}$/.test(host) || Number(host) < 1 || Number(host) > 65_535)
        wrong(path, 'HostPort must be a text with a port from 1 to 65535; without one the engine takes any.');
      if (address !== undefined && address !== '' && !(typeof address === 'string' && isIP(address) !== 0))
        wrong(path, 'HostIp must be an address of the host, as 127.0.0.1.');
      for (const name of Object.keys(isRecord(binding) ? binding : {}))
        if (name !== 'HostPort' && name !== 'HostIp')
          wrong(path, `it knows HostIp and HostPort alone${didYouMean(name, ['HostIp', 'HostPort']) || '.'}`);
    }
  }
}

/** The texts of a list, or none when it is no list of texts. */
function textsOf(value: unknown): string[] {
  const list = entriesOf(value);
  return list.every((one) => typeof one === 'string') ? list : [];
}
