import { runCli } from './cli/run-cli.ts';
import { runCommand } from './cli/run-command.ts';
import { startCommand } from './start-command.ts';

const abort = new AbortController();
/** npm passes on the Ctrl+C that the terminal sent to the whole group: both count as one. */
const sameKeyPressMs = 500;
let firstSignalAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Whoever presses Ctrl+C a second time does not want to wait; what is left is ended by the next start.
    if (abort.signal.aborted && performance.now() - firstSignalAt > sameKeyPressMs) process.exit(130);
    if (!abort.signal.aborted) firstSignalAt = performance.now();
    abort.abort();
  });
}
const stdout = (text: string) => void process.stdout.write(text);
const stderr = (text: string) => void process.stderr.write(text);
const surroundings = { stdout, stderr, env: process.env, cwd: process.cwd(), signal: abort.signal };

process.exitCode = await runCli(process.argv.slice(2), {
  ...surroundings,
  run: runCommand,
  start: (argv) => startCommand(argv, surroundings),
});
