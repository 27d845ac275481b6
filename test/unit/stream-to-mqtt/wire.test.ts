import { deepEqual, equal, notEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import { FrameSplitter } from '../../../modules/stream-to-mqtt/src/mqtt/frame-splitter.ts';
import { MessageEncoder } from '../../../modules/stream-to-mqtt/src/mqtt/message-encoder.ts';
import { createLibraryIds, LAST_OWN_ID } from '../../../modules/stream-to-mqtt/src/mqtt/message-ids.ts';
import { packetSize, propertiesFor } from '../../../modules/stream-to-mqtt/src/mqtt/mqtt-properties.ts';
import { publishSize, writePublish } from '../../../modules/stream-to-mqtt/src/mqtt/publish-packet.ts';
import type { Message } from '../../../modules/stream-to-mqtt/src/sink/sink.ts';

function parse(bytes: Buffer, protocolVersion: 4 | 5): Packet[] {
  const packets: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion });
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(bytes);
  return packets;
}

const topics = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
  .filter((text) => !/[+#\0]/.test(text) && text.isWellFormed());

test('packets are those that the MQTT library reads, whatever they hold', () => {
  fc.assert(
    fc.property(
      topics,
      fc.uint8Array({ maxLength: 20_000 }),
      fc.constantFrom<0 | 1>(0, 1),
      fc.boolean(),
      fc.boolean(),
      fc.nat(1_000_000),
      fc.integer({ min: 1, max: LAST_OWN_ID }),
      fc.constantFrom(0, 60),
      fc.boolean(),
      (topic, payload, qos, retain, isV5, id, messageId, expirySeconds, redelivered) => {
        const message: Message = {
          stream: topic,
          label: topic,
          db: 1,
          id: `${id}-7`,
          topic,
          payload: Buffer.from(payload),
          isJson: true,
          bytes: 0,
          redelivered,
        };
        const rules = { contentType: 'application/json', expirySeconds, userProperties: true };
        const encoder = new MessageEncoder({ rules: isV5 ? rules : undefined, qos, retain });
        // Twice: the second time from what is kept.
        for (let n = 0; n < 2; n += 1) {
          const parts = encoder.parts(message, qos === 0 ? undefined : messageId, 5000);
          const target = Buffer.alloc(publishSize(parts) + 10);
          equal(writePublish(parts, target, 5), target.length - 5);
          equal(
            publishSize(parts),
            packetSize(topic, payload.length, qos, isV5 ? propertiesFor(message, rules, 5000) : undefined),
          );
          const [packet] = parse(target.subarray(5, -5), isV5 ? 5 : 4);
          if (packet?.cmd !== 'publish') throw new Error('no publish');
          deepEqual(
            [packet.topic, packet.qos, packet.retain, packet.messageId],
            [topic, qos, retain, qos === 0 ? undefined : messageId],
          );
          deepEqual(Buffer.from(packet.payload), message.payload);
          if (!isV5) continue;
          equal(packet.properties?.contentType, 'application/json');
          deepEqual(
            { ...packet.properties.userProperties },
            {
              stream: topic,
              'stream-id': `${id}-7`,
              db: '1',
              ...(redelivered ? { redelivered: 'true' } : {}),
            },
          );
          equal(
            packet.properties.messageExpiryInterval,
            expirySeconds === 0 ? undefined : propertiesFor(message, rules, 5000).messageExpiryInterval,
          );
        }
      },
    ),
  );
});

test('acknowledgements are found in whatever pieces they arrive, and everything else reaches the library as it came', () => {
  const packet = fc.oneof(
    fc.record({
      cmd: fc.constant('puback' as const),
      messageId: fc.integer({ min: 1, max: 65_535 }),
      reasonCode: fc.constantFrom(0, 0x10, 0x87),
    }),
    fc.constant({ cmd: 'pingresp' as const }),
    fc.record({
      cmd: fc.constant('publish' as const),
      topic: fc.constant('t'),
      payload: fc.string({ maxLength: 300 }),
      qos: fc.constant(0 as const),
      retain: fc.constant(false),
      dup: fc.constant(false),
    }),
    fc.constant({ cmd: 'disconnect' as const, reasonCode: 0x8b }),
  );
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (packets, cuts) => {
        const bytes = Buffer.concat(
          packets.map((one) => mqttPacket.generate(one as Packet, { protocolVersion: 5 })),
        );
        const ours: [number, number][] = [];
        const splitter = new FrameSplitter(
          (id) => id <= LAST_OWN_ID,
          (id, code) => ours.push([id, code]),
        );
        const rest: Buffer[] = [];
        for (let at = 0, n = 0; at < bytes.length; n += 1) {
          const size = cuts[n % cuts.length] ?? 1;
          rest.push(...splitter.take(bytes.subarray(at, at + size)).map((part) => Buffer.from(part)));
          at += size;
        }
        const isOurs = (one: (typeof packets)[number]): boolean =>
          one.cmd === 'puback' && one.messageId <= LAST_OWN_ID;
        deepEqual(
          ours,
          packets.flatMap((one) =>
            one.cmd === 'puback' && isOurs(one) ? [[one.messageId, one.reasonCode]] : [],
          ),
        );
        deepEqual(
          Buffer.concat(rest),
          Buffer.concat(
            packets
              .filter((one) => !isOurs(one))
              .map((one) => mqttPacket.generate(one as Packet, { protocolVersion: 5 })),
          ),
        );
      },
    ),
  );
});

test('the library keeps to its own part of the packet identifiers', () => {
  const ids = createLibraryIds();
  for (let n = 0; n < 12_000; n += 1) {
    const id = ids.allocate() ?? 0;
    equal(id > LAST_OWN_ID && id <= 65_535, true);
    ids.deallocate(id);
  }
});

test('an identifier in use is not given again, however many come and go meanwhile', () => {
  const ids = createLibraryIds();
  const kept = ids.allocate();
  for (let n = 0; n < 12_000; n += 1) {
    const id = ids.allocate() ?? 0;
    notEqual(id, kept);
    ids.deallocate(id);
  }
  const all = new Set([kept]);
  for (let id = ids.allocate(); id !== null; id = ids.allocate()) all.add(id);
  equal(all.size, 65_535 - LAST_OWN_ID);
});
