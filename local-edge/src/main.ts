import { runCli } from './cli/run-cli.ts';
import { startCommand } from './start-command.ts';

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Whoever presses Ctrl+C a second time does not want to wait.
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  });
}
const stdout = (text: string) => void process.stdout.write(text);
const stderr = (text: string) => void process.stderr.write(text);
const surroundings = { stdout, stderr, env: process.env, cwd: process.cwd(), signal: abort.signal };

process.exitCode = await runCli(process.argv.slice(2), {
  ...surroundings,
  start: (argv) => startCommand(argv, surroundings),
});
