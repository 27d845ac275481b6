/** Owns a broker for a test that ends this process: prints the broker's pid and waits. */
import { startKafka } from './kafka.ts';

const kafka = await startKafka(undefined);
console.log(kafka.pid);
setInterval(() => undefined, 60_000);
