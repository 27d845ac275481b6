// The library is loaded on demand, so that it does not delay the start, and only these two files of it: its front page loads every
// way to a broker that it knows, with what they need, and the bridge has its own.
import client from 'mqtt/lib/client';
import store from 'mqtt/lib/store';

export const MqttClient = client.default;
export const Store = store.default;
