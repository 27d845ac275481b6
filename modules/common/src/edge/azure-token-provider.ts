import { EventEmitter } from 'node:events';
import common from 'azure-iot-common';
import type { AuthenticationProvider, TransportConfig } from 'azure-iot-common';
import type { AzureSettings } from './azure-settings.ts';

/** Hands the transport one token and no renewal: a new token means a new connection. */
export function createTokenProvider(settings: AzureSettings, token: string): AuthenticationProvider {
  const config: TransportConfig = {
    host: settings.hubHostName,
    deviceId: settings.deviceId,
    moduleId: settings.moduleId,
    sharedAccessSignature: token,
    ...(settings.gatewayHostName === undefined ? {} : { gatewayHostName: settings.gatewayHostName }),
  };
  return new TokenProvider(config);
}

class TokenProvider extends EventEmitter implements AuthenticationProvider {
  readonly type = common.AuthenticationType.Token;
  readonly #config: TransportConfig;

  constructor(config: TransportConfig) {
    super();
    this.#config = config;
  }

  getDeviceCredentials(): Promise<TransportConfig>;
  getDeviceCredentials(callback: (error: Error | null, config: TransportConfig) => void): void;
  getDeviceCredentials(
    callback?: (error: Error | null, config: TransportConfig) => void,
  ): Promise<TransportConfig> | undefined {
    if (callback === undefined) return Promise.resolve(this.#config);
    callback(null, this.#config);
    return undefined;
  }

  /** The transport calls it when it has disconnected; there is no renewal timer to stop. */
  stop(): void {
    return;
  }
}
