import { createAzureModule } from '../helpers/azure-module.ts';
import { startTestEdge } from '../helpers/edge.ts';
import { describeEdge } from './edge.contract.ts';

describeEdge('azure-edge on edgeHub', async () => {
  const local = await startTestEdge();
  local.hub.twins.patchDesired('$edgeHub', {
    desired: {
      schemaVersion: '1.1',
      routes: { feed: 'FROM /messages/modules/feeder/* INTO BrokeredEndpoint("/modules/m/inputs/in")' },
      storeAndForwardConfiguration: { timeToLiveSecs: 60 },
    },
  });
  const { edge } = createAzureModule(await local.environment('m'));
  return {
    edge,
    async invoke(name, payload) {
      const outcome = await local.invoke('m', name, payload);
      return outcome.kind === 'reply' ? { status: outcome.status, payload: outcome.payload } : undefined;
    },
    setDesired: (desired) => void local.hub.twins.replaceDesired('m', { desired }),
    reported: () => local.hub.twins.get('m')?.reported.properties ?? {},
    async deliver(_, message) {
      const feeder = createAzureModule(await local.environment('feeder'));
      feeder.edge.start();
      await feeder.connected();
      await feeder.edge.send('any', message);
      await feeder.stop();
    },
    dispose: () => local.stop(),
  };
});
