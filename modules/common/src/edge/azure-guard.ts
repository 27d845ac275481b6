import { Buffer } from 'node:buffer';
import { MqttBase } from 'azure-iot-mqtt-base';
import { errorText, SuiteError } from '../errors.ts';
import type { Corkable } from '../write-gathering.ts';
import { createWriteGathering } from '../write-gathering.ts';

/** The part of mqtt.js's client that the guard touches. */
export interface RawClient {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'packetsend' | 'packetreceive', listener: (packet: { cmd: string }) => void): unknown;
  end(force: boolean): unknown;
  readonly stream: Corkable & { destroy(): unknown };
}

export interface GuardEvents {
  /** Before the SDK sees a method request; true keeps it away from the SDK. */
  onMethodRequest(name: string, requestId: string): boolean;
  /** The SDK could not have taken this message without an uncaught exception. */
  onUnreadable(what: string): void;
}

type Connect = (uri: string, options: object) => RawClient;

const TWIN_RESPONSE = '$iothub/twin/res/';
const METHOD_REQUEST = '$iothub/methods/POST/';

/**
 * Stands between the SDK's transport and mqtt.js, at the two places that the SDK leaves open for it (the transport takes its
 * MQTT layer, and that layer its MQTT library, as a constructor argument), and mends what cannot be mended from above:
 * a socket that is closed for certain, twin answers whose status the SDK never looks at, and bodies that it parses unguarded.
 */
export class GuardedMqtt extends MqttBase {
  /** Status of the twin answer that the SDK is handling right now. */
  twinStatus: number | undefined;
  /** The last error of the socket or of the MQTT handshake, before the SDK rewraps it. */
  lastError: unknown;
  readonly #provider: Provider;
  readonly #events: GuardEvents;

  constructor(events: GuardEvents, connectTimeoutMs: number) {
    const provider = createProvider(connectTimeoutMs, (error) => (this.lastError = error));
    super(provider);
    this.#provider = provider;
    this.#events = events;
  }

  /** True while a ping waits for its answer; when the connection ends like that, the peer was silent. */
  get isPingUnanswered(): boolean {
    return this.#provider.isPingUnanswered();
  }

  /** Destroys the socket, also one that is only being opened; graceful closing waits for a peer that may be dead. */
  destroy(): void {
    this.#provider.destroy();
  }

  /** The packets that this turn of the event loop writes go out together. */
  gatherWrites(): void {
    this.#provider.gatherWrites();
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const [topic, payload] = args;
    if (event !== 'message' || typeof topic !== 'string' || !Buffer.isBuffer(payload)) {
      return super.emit(event, ...args);
    }
    const readable = this.#prepare(topic, payload);
    if (readable === undefined) return false;
    try {
      return super.emit(event, topic, readable);
    } catch (error) {
      this.#events.onUnreadable(`message on ${topicKind(topic)}: ${errorText(error)}`);
      return false;
    } finally {
      this.twinStatus = undefined;
    }
  }

  /** The payload that the SDK is to see, undefined for none. */
  #prepare(topic: string, payload: Buffer): Buffer | undefined {
    if (topic.startsWith(TWIN_RESPONSE)) {
      const status = Number.parseInt(topic.slice(TWIN_RESPONSE.length), 10);
      this.twinStatus = status;
      // The SDK takes an answer for an error only if its body has an errorCode, and edgeHub sends errors with an empty body.
      if (!(status >= 200 && status < 300)) return errorBody(status, 'refused');
      if (payload.length > 0 && !isJson(payload)) {
        this.twinStatus = 500;
        return errorBody(500, 'the answer is not JSON');
      }
      return payload;
    }
    if (topic.startsWith(METHOD_REQUEST)) {
      const [name = '', query = ''] = topic.slice(METHOD_REQUEST.length).split('/?$rid=');
      return this.#events.onMethodRequest(name, query) ? undefined : payload;
    }
    return payload;
  }
}

function errorBody(status: number, message: string): Buffer {
  return Buffer.from(JSON.stringify({ errorCode: Number.isNaN(status) ? 500 : status, message }));
}

function isJson(payload: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

/** Names inside of topics are the sender's; only the kind goes into a log. */
function topicKind(topic: string): string {
  return topic.split('/').slice(0, 2).join('/');
}

interface Provider {
  connect: Connect;
  isPingUnanswered(): boolean;
  destroy(): void;
  gatherWrites(): void;
}

function createProvider(connectTimeoutMs: number, onError: (error: unknown) => void): Provider {
  const connectMqtt = loadMqtt();
  let client: RawClient | undefined;
  let destroyed = false;
  let pinged = false;
  const gather = createWriteGathering();
  return {
    isPingUnanswered: () => pinged,
    connect(uri, options) {
      client = connectMqtt(uri, { ...options, connectTimeout: connectTimeoutMs });
      // The SDK takes its own listener away in between; an 'error' without one would end the process.
      client.on('error', onError);
      client.on('packetsend', ({ cmd }) => (pinged ||= cmd === 'pingreq'));
      client.on('packetreceive', () => (pinged = false));
      if (destroyed) client.end(true);
      return client;
    },
    destroy() {
      destroyed = true;
      client?.end(true);
      client?.stream.destroy();
    },
    gatherWrites() {
      if (client !== undefined) gather(client.stream);
    },
  };
}

/**
 * The very mqtt.js that the SDK loads for itself, also when both are part of a bundle: it keeps the library in a property that its
 * types call private.
 */
function loadMqtt(): Connect {
  const mqtt: unknown = Reflect.get(new MqttBase(), 'mqttProvider');
  if (!isConnectable(mqtt))
    throw new SuiteError('INTERNAL', 'loading mqtt.js: azure-iot-mqtt-base holds none');
  return mqtt.connect.bind(mqtt);
}

function isConnectable(library: unknown): library is { connect: Connect } {
  return typeof library === 'object' && library !== null && 'connect' in library;
}
