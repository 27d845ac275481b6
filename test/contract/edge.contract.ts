import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  DesiredDocument,
  Edge,
  EdgeMessage,
  EdgeState,
  JsonObject,
  JsonValue,
  MethodReply,
} from '../../modules/common/src/edge/edge.ts';
import { waitUntil } from '../helpers/azure-module.ts';

/** An implementation of the edge port, and the hands of the outside on it. */
export interface EdgeUnderTest {
  readonly edge: Edge;
  invoke(name: string, payload: JsonValue): Promise<MethodReply | undefined>;
  /** Replaces the desired section. */
  setDesired(properties: JsonObject): void;
  /** The reported section as the outside sees it. */
  reported(): JsonObject;
  deliver(input: string, message: EdgeMessage): Promise<void>;
  dispose(): Promise<void>;
}

const never = new AbortController().signal;
const until = (condition: () => boolean): Promise<void> =>
  waitUntil(condition, 5000, () => 'the contract of the edge');

/** What the rest of a module relies on, whatever is behind the port. */
export function describeEdge(name: string, create: () => Promise<EdgeUnderTest>): void {
  const behaviour = (title: string, check: (under: EdgeUnderTest) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const under = await create();
      try {
        await check(under);
      } finally {
        await under.edge.stop(AbortSignal.timeout(2000));
        await under.dispose();
      }
    });
  };
  const started = async ({ edge }: EdgeUnderTest): Promise<void> => {
    edge.start();
    await until(() => edge.status.state === 'connected');
  };

  behaviour(
    'its status goes from connecting over connected to stopped, and listeners are told',
    async (under) => {
      const { edge } = under;
      const states: EdgeState[] = [];
      edge.onStatus(({ state }) => states.push(state));
      assert.equal(edge.status.state, 'connecting');
      await started(under);
      assert.equal(states.at(-1), 'connected');
      assert.equal(edge.status.reason, undefined);
      assert.ok(edge.status.since instanceof Date);
      await edge.stop(never);
      assert.equal(states.at(-1), 'stopped');
      assert.equal(edge.status.state, 'stopped');
      assert.equal(states.includes('disconnected'), false);
    },
  );

  behaviour('starting twice and stopping twice is the same as once', async (under) => {
    under.edge.start();
    await started(under);
    await Promise.all([under.edge.stop(never), under.edge.stop(never)]);
    await under.edge.stop(AbortSignal.abort());
    assert.equal(under.edge.status.state, 'stopped');
  });

  behaviour(
    'it can be stopped without having been started, and is not started after that',
    async ({ edge }) => {
      await edge.stop(never);
      edge.start();
      assert.equal(edge.status.state, 'stopped');
    },
  );

  behaviour('a method gets the parsed payload and its reply is handed back as it is', async (under) => {
    under.edge.onMethod('Echo', (request) => {
      assert.equal(request.name, 'Echo');
      assert.ok(request.requestId.length > 0);
      return Promise.resolve({ status: 207, payload: request.payload });
    });
    await started(under);
    for (const payload of [null, '', 'a:b:"c"\n😀', 0, false, [1, null], { deep: { list: [] } }]) {
      assert.deepEqual(await under.invoke('Echo', payload), { status: 207, payload });
    }
  });

  behaviour('a handler that rejects or throws is answered with 500, Message and Status', async (under) => {
    under.edge.onMethod('Rejects', () => Promise.reject(new Error('the reason')));
    under.edge.onMethod('Throws', () => {
      throw new Error('the reason');
    });
    await started(under);
    for (const method of ['Rejects', 'Throws']) {
      const reply = await under.invoke(method, null);
      assert.equal(reply?.status, 500);
      const payload = reply.payload as { Message: string; Status: number };
      assert.match(payload.Message, /the reason/);
      assert.equal(payload.Status, 500);
    }
  });

  behaviour('names of methods are exact, and each can be registered once', async (under) => {
    const handler = (): Promise<MethodReply> => Promise.resolve({ status: 200, payload: null });
    under.edge.onMethod('Name', handler);
    assert.throws(() => under.edge.onMethod('Name', handler), { code: 'INTERNAL' });
    await started(under);
    const reply = await under.invoke('name', null);
    assert.notEqual(reply?.status, 200);
  });

  behaviour('desired properties come whole, with versions that only grow', async (under) => {
    const documents: DesiredDocument[] = [];
    under.edge.onDesired((document) => documents.push(document));
    under.setDesired({ a: 1, list: [1, 2, 3], deep: { x: 1, y: 2 } });
    await started(under);
    await until(() => documents.length === 1);
    under.setDesired({ list: [9], deep: { y: 3 } });
    await until(() => documents.length === 2);
    assert.deepEqual(documents[0]?.properties, { a: 1, list: [1, 2, 3], deep: { x: 1, y: 2 } });
    assert.deepEqual(documents[1]?.properties, { list: [9], deep: { y: 3 } });
    assert.equal(documents[1].version, documents[0].version + 1);
  });

  behaviour(
    'reported properties are handed over at the connect, merged by patches, and deleted by null',
    async (under) => {
      const sections: JsonObject[] = [];
      under.edge.onReported((section) => sections.push(section));
      await started(under);
      await until(() => sections.length === 1);
      assert.deepEqual(sections[0], {});
      await under.edge.report({ a: 1, deep: { x: 1, y: 2 }, list: [1, 2] });
      await under.edge.report({ a: null, deep: { x: null }, list: [3] });
      assert.deepEqual(under.reported(), { deep: { y: 2 }, list: [3] });
    },
  );

  behaviour(
    'before the start and after the stop, reporting and sending reject with EDGE_UNAVAILABLE',
    async (under) => {
      const refuses = async (): Promise<void> => {
        await assert.rejects(under.edge.report({ a: 1 }), { code: 'EDGE_UNAVAILABLE' });
        const message = { data: Buffer.from('x'), properties: {} };
        await assert.rejects(under.edge.send('out', message), { code: 'EDGE_UNAVAILABLE' });
      };
      await refuses();
      await started(under);
      await under.edge.stop(never);
      await refuses();
    },
  );

  behaviour('stopping waits for methods under way', async (under) => {
    const finish = Promise.withResolvers<undefined>();
    let called = false;
    under.edge.onMethod('Slow', async () => {
      called = true;
      await finish.promise;
      return { status: 200, payload: 'done' };
    });
    await started(under);
    const reply = under.invoke('Slow', null);
    await until(() => called);
    let stopped = false;
    const stop = under.edge.stop(never).then(() => (stopped = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(stopped, false);
    finish.resolve(undefined);
    assert.deepEqual(await reply, { status: 200, payload: 'done' });
    await stop;
  });

  behaviour('stopping waits no longer than its signal', async (under) => {
    let called = false;
    under.edge.onMethod('Never', () => {
      called = true;
      return new Promise(() => undefined);
    });
    await started(under);
    under.invoke('Never', null).catch(() => undefined);
    await until(() => called);
    const begin = performance.now();
    await under.edge.stop(AbortSignal.timeout(100));
    assert.ok(performance.now() - begin < 1000);
  });

  behaviour('a message for an input reaches its handler with its properties', async (under) => {
    const messages: EdgeMessage[] = [];
    under.edge.onInput('in', (message) => Promise.resolve(void messages.push(message)));
    await started(under);
    await under.deliver('in', {
      data: Buffer.from('{"a":1}'),
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      messageId: 'id',
      correlationId: 'other',
      properties: { colour: 'a/b & c' },
    });
    await until(() => messages.length === 1);
    const [message] = messages;
    assert.equal(message?.data.toString(), '{"a":1}');
    assert.equal(message.contentType, 'application/json');
    assert.equal(message.contentEncoding, 'utf-8');
    assert.equal(message.messageId, 'id');
    assert.equal(message.correlationId, 'other');
    assert.equal(message.properties['colour'], 'a/b & c');
  });

  behaviour('an input can have one handler', async ({ edge }) => {
    edge.onInput('in', () => Promise.resolve());
    assert.throws(() => edge.onInput('in', () => Promise.resolve()), { code: 'INTERNAL' });
    await Promise.resolve();
  });
}
