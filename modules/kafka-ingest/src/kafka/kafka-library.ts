// By way of the default export: Node finds only some names of this CommonJS package.
import kafkajs from 'kafkajs';

export const { AssignerProtocol, Kafka, CompressionCodecs, CompressionTypes, logLevel } = kafkajs;
