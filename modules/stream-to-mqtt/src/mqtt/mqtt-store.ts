import type { IStore } from 'mqtt';

type Packet = Parameters<IStore['put']>[0];

/**
 * What is in flight, for the life of one connection. The library's own store copies each packet and sends again after a
 * reconnect, even with a clean session; here the stream is the durable queue and a connection is never resumed. `empty` is
 * one of the library's stores: it tells that nothing is to be sent again.
 */
export function createFlightStore(empty: IStore): IStore {
  const packets = new Map<number, Packet>();
  const store: IStore = {
    put(packet, done) {
      if (packet.messageId !== undefined) packets.set(packet.messageId, packet);
      done();
      return store;
    },
    get(packet, done) {
      const found = packet.messageId === undefined ? undefined : packets.get(packet.messageId);
      if (found === undefined) done(new Error('missing packet'));
      else done(undefined, found);
      return store;
    },
    del(packet, done) {
      const found = packet.messageId === undefined ? undefined : packets.get(packet.messageId);
      if (found === undefined) {
        done(new Error('missing packet'));
        return store;
      }
      packets.delete(found.messageId ?? 0);
      done(undefined, found);
      return store;
    },
    createStream: () => empty.createStream(),
    close(done) {
      packets.clear();
      done();
    },
  };
  return store;
}
