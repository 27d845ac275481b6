import { createStandaloneEdge } from '../../modules/common/src/edge/standalone-edge.ts';
import { describeEdge } from './edge.contract.ts';

describeEdge('standalone-edge', () => {
  const edge = createStandaloneEdge({ deviceId: 'host', moduleId: 'm' });
  let calls = 0;
  return Promise.resolve({
    edge,
    invoke: (name, payload) => edge.invoke({ name, payload, requestId: `r${(calls += 1)}` }),
    setDesired: (properties) => edge.setDesired(properties),
    reported: () => edge.reported,
    deliver: (input, message) => edge.deliver(input, message) ?? Promise.reject(new Error('nobody listens')),
    dispose: () => Promise.resolve(),
  });
});
