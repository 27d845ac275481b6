import { errorText, SuiteError } from '../errors.ts';
import type { Edge, EdgeIdentity, EdgeStatus } from './edge.ts';

/**
 * An edge whose implementation is loaded when it is started, so that the module's data paths come up before the device SDK
 * is read from disk. What is registered before is handed on; sending and reporting are refused until it is there.
 */
export function createDeferredEdge(
  kind: Edge['kind'],
  identity: EdgeIdentity,
  load: () => Promise<Edge>,
): Edge {
  const registrations: ((edge: Edge) => void)[] = [];
  const names = new Set<string>();
  const statusListeners: ((status: EdgeStatus) => void)[] = [];
  let inner: Edge | undefined;
  let loading: Promise<void> | undefined;
  let own: EdgeStatus = { state: 'connecting', reason: 'not started yet', since: new Date() };

  const become = (status: EdgeStatus): void => {
    own = status;
    for (const listener of statusListeners) listener(status);
  };
  const register = (registration: (edge: Edge) => void): void => {
    if (inner) registration(inner);
    else registrations.push(registration);
  };
  const registerOnce = (what: string, name: string, registration: (edge: Edge) => void): void => {
    const full = `${what} ${name}`;
    if (names.has(full)) throw new SuiteError('INTERNAL', `registering ${full}: already registered`);
    names.add(full);
    register(registration);
  };
  const whenThere = <T>(doing: string, use: (edge: Edge) => Promise<T>): Promise<T> =>
    inner
      ? use(inner)
      : Promise.reject(
          new SuiteError('EDGE_UNAVAILABLE', `${doing}: not connected to edgeHub yet`, { retryable: true }),
        );

  const open = async (): Promise<void> => {
    try {
      const edge = await load();
      if (own.state === 'stopped') return;
      inner = edge;
      for (const registration of registrations.splice(0)) registration(edge);
      edge.start();
    } catch (error) {
      // Data paths go on: a broken installation of the SDK costs the cloud connection only, and says so.
      become({
        state: 'disconnected',
        reason: `loading the device SDK: ${errorText(error)}`,
        since: new Date(),
      });
    }
  };

  return {
    kind,
    identity,
    get status() {
      return inner?.status ?? own;
    },
    onMethod: (name, handler) => registerOnce('method', name, (edge) => edge.onMethod(name, handler)),
    onInput: (input, handler) => registerOnce('input', input, (edge) => edge.onInput(input, handler)),
    onDesired: (listener) => register((edge) => edge.onDesired(listener)),
    onReported: (listener) => register((edge) => edge.onReported(listener)),
    onStatus(listener) {
      statusListeners.push(listener);
      register((edge) => edge.onStatus(listener));
    },
    report: (patch) => whenThere('reporting properties', (edge) => edge.report(patch)),
    send: (output, message) => whenThere(`sending to output ${output}`, (edge) => edge.send(output, message)),
    start() {
      loading ??= open();
    },
    async stop(signal) {
      if (!inner && own.state !== 'stopped') become({ state: 'stopped', since: new Date() });
      await inner?.stop(signal);
    },
  };
}
