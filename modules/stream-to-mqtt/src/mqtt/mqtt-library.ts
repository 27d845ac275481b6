// The library is loaded on demand, so that it does not delay the start; by way of this file, since a bundler gives a CommonJS
// package that is imported dynamically no named exports.
export { MqttClient, Store } from 'mqtt';
