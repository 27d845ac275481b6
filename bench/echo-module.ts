/** The baseline: a module on the plain device SDK whose one method answers with what it was given. */
import iot from 'azure-iot-device';
import { Mqtt } from 'azure-iot-device-mqtt';

const client = await iot.ModuleClient.fromEnvironment(Mqtt);
client.on('error', (error: Error) => console.error(error.message));
client.onMethod('Echo', (request, response) => {
  response?.send(200, request?.payload, (error) => {
    if (error) console.error(error.message);
  });
});
await client.open();
process.on('SIGTERM', () => process.exit(0));
