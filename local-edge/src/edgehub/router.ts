import type { EdgeLog } from '../edge-log.ts';
import { EdgeError } from '../errors.ts';
import type { HubCore } from '../hub/hub.ts';
import { omit } from '../omit.ts';
import type { EdgeHubConfig } from './edge-hub-config.ts';
import { conditionInput, type RoutedMessage } from './message.ts';
import type { InputDispatcher } from './queue/input-dispatcher.ts';
import { sourceMatches, type Sink } from './routes/route.ts';

interface Delivery {
  readonly sink: Sink;
  readonly priority: number;
  readonly timeToLiveSecs: number;
}

/** Evaluates the routes for each message. When `route` returns, every delivery is stored, so the sender may be acknowledged; it throws when it cannot be stored. */
export class Router {
  readonly #hub: HubCore;
  readonly #dispatcher: InputDispatcher;
  readonly #now: () => number;
  readonly #log: EdgeLog;
  readonly #unrouted = new Map<string, number>();
  #config: EdgeHubConfig;

  constructor(options: {
    hub: HubCore;
    dispatcher: InputDispatcher;
    config: EdgeHubConfig;
    now: () => number;
    log: EdgeLog;
  }) {
    this.#hub = options.hub;
    this.#dispatcher = options.dispatcher;
    this.#config = options.config;
    this.#now = options.now;
    this.#log = options.log;
  }

  configure(config: EdgeHubConfig): void {
    this.#config = config;
    this.#unrouted.clear();
  }

  /** Messages that matched no route, by `module/output`. */
  get unrouted(): ReadonlyMap<string, number> {
    return this.#unrouted;
  }

  route(message: RoutedMessage): void {
    const deliveries = this.#deliveriesOf(message);
    const { maxStoredBytes } = this.#config;
    if (maxStoredBytes !== null && this.#dispatcher.storedBytes + message.body.length > maxStoredBytes) {
      throw new EdgeError(
        'REFUSED',
        `more than the ${maxStoredBytes} bytes of storeLimits.maxBytes are waiting`,
      );
    }
    if (deliveries.length === 0) this.#countUnrouted(message);
    for (const delivery of deliveries) this.#deliver(message, delivery);
  }

  /** One delivery per endpoint, by its best route. */
  #deliveriesOf(message: RoutedMessage): Delivery[] {
    const input = conditionInput(message, this.#hub.deviceId);
    const byEndpoint = new Map<string, Delivery>();
    for (const route of this.#config.routes) {
      if (!sourceMatches(route, message.source) || !route.condition(input)) continue;
      const { sink } = route;
      const endpoint = sink.kind === 'upstream' ? '$upstream' : `${sink.moduleId}/${sink.input}`;
      const known = byEndpoint.get(endpoint);
      if (known === undefined || route.priority < known.priority) byEndpoint.set(endpoint, route);
    }
    return [...byEndpoint.values()];
  }

  #deliver(message: RoutedMessage, { sink, priority, timeToLiveSecs }: Delivery): void {
    if (sink.kind === 'upstream') {
      this.#hub.events.add({
        enqueuedTime: new Date(this.#now()).toISOString(),
        deviceId: this.#hub.deviceId,
        // reported patches travel upstream as messages of edgeHub itself
        moduleId: message.source === '/twinChangeNotifications' ? '$edgeHub' : message.sender,
        output: message.output,
        system: omit(message.system, 'outputName'),
        application: message.application,
        body: message.body,
      });
      return;
    }
    const ttl = timeToLiveSecs === 0 ? this.#config.timeToLiveSecs : timeToLiveSecs;
    const expires = ttl < 0 ? null : this.#now() + ttl * 1000;
    this.#dispatcher.enqueue({ moduleId: sink.moduleId, input: sink.input, priority, expires, message });
  }

  #countUnrouted(message: RoutedMessage): void {
    // nobody asked for reported patches
    if (message.source === '/twinChangeNotifications') return;
    const key = `${message.sender}/${message.output ?? ''}`;
    const count = this.#unrouted.get(key) ?? 0;
    this.#unrouted.set(key, count + 1);
    if (count > 0) return;
    const output = message.output ?? '(none)';
    this.#log('warn', `message of ${message.sender} output ${output} matches no route`);
  }
}
