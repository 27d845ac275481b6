import { errorText, SuiteError } from '../errors.ts';

/** Not connected, lost, or no answer in time: the same call may succeed later. */
export function unavailable(what: string, why: string, cause?: unknown): SuiteError {
  return new SuiteError('EDGE_UNAVAILABLE', `${what}: ${why}`, { cause, retryable: true });
}

/** CONNACK return codes that edgeHub gives, in words that say what to look at. */
const CONNACK: Readonly<Record<number, string>> = {
  3: 'edgeHub is not ready (CONNACK 3)',
  5: 'edgeHub refuses the identity or its token (CONNACK 5): is the module deleted, or the clock of this machine wrong?',
};

/** Why a connection could not be made, from the error of the socket or of the MQTT handshake. */
export function describeFailure(error: unknown): string {
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return (typeof code === 'number' ? CONNACK[code] : undefined) ?? errorText(error);
}

/** Why a connection ended, by the socket's error, or without one. */
export function describeLoss(error: unknown, wasSilent: boolean): string {
  if (error !== undefined && error !== null) return errorText(error);
  return wasSilent ? 'edgeHub did not answer a keepalive ping' : 'closed by edgeHub';
}
