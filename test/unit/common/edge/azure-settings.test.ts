import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAzureSettings } from '../../../../modules/common/src/edge/azure-settings.ts';
import { ConfigError } from '../../../../modules/common/src/errors.ts';

const agent = {
  IOTEDGE_WORKLOADURI: 'unix:///run/x.sock',
  IOTEDGE_DEVICEID: 'd',
  IOTEDGE_MODULEID: 'm',
  IOTEDGE_IOTHUBHOSTNAME: 'hub.example',
  IOTEDGE_AUTHSCHEME: 'SasToken',
  IOTEDGE_MODULEGENERATIONID: '1',
  IOTEDGE_GATEWAYHOSTNAME: 'gateway:1234',
};

function mistakes(environment: Record<string, string>): string[] {
  try {
    readAzureSettings(environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.mistakes.map(({ name, problem }) => `${name} ${problem}`);
  }
  return [];
}

test('the environment that edgeAgent gives is read', () => {
  const settings = readAzureSettings(agent);
  assert.equal(settings.gatewayHostName, 'gateway:1234');
  assert.equal(settings.hubHostName, 'hub.example');
  assert.deepEqual([settings.deviceId, settings.moduleId, settings.auth.kind], ['d', 'm', 'workload']);
});

test('without a gateway the hub itself is dialled', () => {
  assert.equal(readAzureSettings({ ...agent, IOTEDGE_GATEWAYHOSTNAME: '' }).gatewayHostName, undefined);
});

test('everything that is missing is named at once', () => {
  const found = mistakes({});
  assert.equal(found.length, 6);
  for (const name of Object.keys(agent)) {
    if (name !== 'IOTEDGE_GATEWAYHOSTNAME')
      assert.ok(
        found.some((text) => text.startsWith(`${name} `)),
        name,
      );
  }
});

test('another authentication scheme and another kind of workload address are refused', () => {
  assert.deepEqual(mistakes({ ...agent, IOTEDGE_AUTHSCHEME: 'x509' }).length, 1);
  assert.deepEqual(mistakes({ ...agent, IOTEDGE_WORKLOADURI: 'https://host' }).length, 1);
  assert.deepEqual(mistakes({ ...agent, IOTEDGE_WORKLOADURI: 'no address' }).length, 1);
});

test('a development connection string goes before the variables of edgeAgent, EdgeHub before IotHub', () => {
  const text = (device: string): string =>
    `HostName=h;GatewayHostName=localhost;DeviceId=${device};ModuleId=m;SharedAccessKey=YWI=`;
  const settings = readAzureSettings({
    ...agent,
    IotHubConnectionString: text('second'),
    EdgeHubConnectionString: text('first'),
    EdgeModuleCACertificateFile: 'ca.pem',
  });
  assert.equal(settings.deviceId, 'first');
  assert.equal(settings.gatewayHostName, 'localhost');
  assert.deepEqual(settings.auth, { kind: 'key', key: 'YWI=', caFile: 'ca.pem' });
});

test('a connection string that lacks parts is refused by part, without showing its key', () => {
  const found = mistakes({ EdgeHubConnectionString: 'HostName=h;SharedAccessKey=c2VjcmV0' });
  assert.deepEqual(found, [
    'EdgeHubConnectionString holds no DeviceId=…',
    'EdgeHubConnectionString holds no ModuleId=…',
  ]);
});
