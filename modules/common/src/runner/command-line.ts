import type { Mistake } from '../errors.ts';
import { ConfigError } from '../errors.ts';
import { unknownName } from '../suggest.ts';

/** What a module's program was called with. */
export interface CommandLine {
  readonly action: 'run' | 'help' | 'version';
  /** One of the module's own commands, instead of running as a service. */
  readonly command: string | undefined;
  readonly configFile: string | undefined;
  /** Settings by their names in code. */
  readonly settings: Readonly<Record<string, string>>;
}

const OPTIONS = ['--log-level', '--config-file', '--help', '--version'];

/** Accepts `--name value` and `--name=value`; throws a ConfigError with every mistake. */
export function parseCommandLine(args: readonly string[], commands: readonly string[]): CommandLine {
  const mistakes: Mistake[] = [];
  const wrong = (name: string, problem: string): void =>
    void mistakes.push({ origin: 'command line', name, problem });
  const settings: Record<string, string> = {};
  let action: CommandLine['action'] = 'run';
  let command: string | undefined;
  let configFile: string | undefined;

  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [name = '', ...inline] = arg.split('=');
    const value = (): string | undefined => {
      const given = inline.length > 0 ? inline.join('=') : rest.shift();
      if (given === undefined || given === '') wrong(name, 'expected a value after it');
      return given;
    };
    if (name === '--help' || name === '-h') action = 'help';
    else if (name === '--version') action = 'version';
    else if (name === '--config-file') configFile = value();
    else if (name === '--log-level') settings['logLevel'] = value() ?? '';
    else if (arg.startsWith('-')) wrong(name, unknownName(name, OPTIONS));
    else if (commands.includes(arg) && command === undefined) command = arg;
    // Only what stands before a = is shown: behind it there may be a secret.
    else if (command !== undefined) wrong(name, `expected nothing after the command ${command}`);
    else wrong(name, commands.length > 0 ? unknownName(name, commands) : 'this module has no commands');
  }
  if (mistakes.length > 0 && action === 'run') throw new ConfigError(mistakes);
  return { action, command, configFile, settings };
}
