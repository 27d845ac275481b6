import { readFileSync } from 'node:fs';
import { SuiteError } from './errors.ts';

/** Files (PEM) of one TLS connection, and the name to expect in the server's certificate. */
export interface TlsFiles {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
}

export interface TlsMaterial {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
}

/**
 * The options of `tls.connect`. Call it at each connect, so that renewed certificates are used without a restart. `prefix` is
 * the one of the settings' environment names (`REDIS` for REDIS_CA_FILE): a file that cannot be read is CONFIG_INVALID and
 * named by its setting.
 */
export function readTlsFiles(prefix: string, files: TlsFiles): TlsMaterial {
  const { caFile, certFile, keyFile, serverName } = files;
  return {
    ...(caFile === undefined ? {} : { ca: readPem(`${prefix}_CA_FILE`, caFile) }),
    ...(certFile === undefined ? {} : { cert: readPem(`${prefix}_CERT_FILE`, certFile) }),
    ...(keyFile === undefined ? {} : { key: readPem(`${prefix}_KEY_FILE`, keyFile) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SuiteError(
      'CONFIG_INVALID',
      `reading ${name}: cannot read the file ${path}; check the path and its permissions`,
      { cause },
    );
  }
}
