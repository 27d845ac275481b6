import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce } from './cache.ts';
import { EdgeError } from '../errors.ts';
import { lastLine, runCommand } from './command.ts';
import type { ServiceDescription } from './catalogue.ts';

/** Whether a Docker daemon answers. */
export async function dockerRuns(env: NodeJS.ProcessEnv): Promise<boolean> {
  const result = await runCommand('docker', ['info', '--format', '{{.ServerVersion}}'], {
    timeoutMs: 5000,
    env,
  });
  return result.code === 0 && /^\d/.test(result.stdout.trim());
}

/**
 * A folder with a stand-in for each program, which runs it in a container with its port published on loopback and the current
 * folder mounted. Inside, the server has to listen on all interfaces of its own network, or publishing would not reach it.
 */
export async function dockerPrograms(
  service: ServiceDescription,
  cache: string,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string> {
  const target = join(cache, 'docker', service.dockerImage.replace(/[^\w.-]/g, '_'));
  return buildOnce(target, async (folder) => {
    const present = await runCommand('docker', ['image', 'inspect', service.dockerImage], {
      timeoutMs: 10_000,
      env,
    });
    if (present.code !== 0) {
      say(`fetching the image ${service.dockerImage} (about 20 to 60 MB) into Docker's store`);
      const pulled = await runCommand('docker', ['pull', '--quiet', service.dockerImage], { env });
      if (pulled.code !== 0)
        throw new EdgeError('SERVICE_MISSING', `docker pull failed: ${lastLine(pulled)}`);
    }
    await mkdir(folder, { recursive: true });
    for (const program of service.programs.slice(0, 1)) {
      const file = join(folder, program);
      await writeFile(file, serverScript(service.dockerImage, program));
      await chmod(file, 0o755);
    }
  });
}

function serverScript(image: string, program: string): string {
  return `#!/bin/sh
# Runs ${program} in a container: --port N is published on 127.0.0.1, --bind is left out, the current folder is mounted.
port= previous= count=$#
while [ "$count" -gt 0 ]; do
  argument=$1; shift; count=$((count - 1))
  case $previous in
    --port) port=$argument; set -- "$@" --port "$argument"; previous=; continue ;;
    --bind) previous=; continue ;;
  esac
  case $argument in
    --port | --bind) previous=$argument ;;
    *) set -- "$@" "$argument"; previous= ;;
  esac
done
[ -n "$port" ] && publish="--publish 127.0.0.1:$port:$port" && set -- "$@" --bind 0.0.0.0 --protected-mode no
exec docker run --rm --init --user "$(id -u):$(id -g)" $publish --volume "$PWD:$PWD" --workdir "$PWD" --entrypoint ${program} ${image} "$@"
`;
}
