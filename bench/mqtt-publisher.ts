/** The bare publisher: MQTT.js as its documentation shows it, QoS 1, a window of messages, no Redis. Told by its parent what to do. */
import { connectAsync } from 'mqtt';

const [url = '', window = '256'] = process.argv.slice(2);
const client = await connectAsync(url, { protocolVersion: 5 });

process.on('message', ({ count, payload }: { count: number; payload: string }) => {
  let sent = 0;
  let acknowledged = 0;
  const startedAt = performance.now();
  const fill = (): void => {
    while (sent < count && sent - acknowledged < Number(window)) {
      client.publish(`redis/bench/${sent % 4}`, payload, { qos: 1 }, done);
      sent += 1;
    }
  };
  const done = (): void => {
    acknowledged += 1;
    if (acknowledged === count)
      process.send?.({ perSecond: (count / (performance.now() - startedAt)) * 1000 });
    else fill();
  };
  fill();
});
process.send?.({ ready: true });
