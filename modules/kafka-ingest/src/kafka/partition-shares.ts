import type { Assigner, Cluster, GroupMember, GroupMemberAssignment } from 'kafkajs';
import { AssignerProtocol } from './kafka-library.ts';

const NAME = 'iotedge-redis-shares';
const VERSION = 0;
const NOTHING = Buffer.alloc(0);

/** Who reads what: member by name of the topic. */
export interface Member {
  readonly id: string;
  readonly topics: readonly string[];
}

/** By member, the partitions of each topic. A topic may be named as a property that every object has. */
export type Shares = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

/**
 * Partitions of each topic shared out among the members that read it, whoever has the fewest next. Members of a group need not read the
 * same topics: they have other settings, or a pattern of theirs has found a topic that the others have not looked for yet.
 */
export function shareOut(
  members: readonly Member[],
  partitions: ReadonlyMap<string, readonly number[]>,
): Shares {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const shares = new Map(sorted.map(({ id }) => [id, new Map<string, number[]>()]));
  const counts = new Map(sorted.map(({ id }) => [id, 0]));
  const countOf = ({ id }: Member): number => counts.get(id) ?? 0;
  for (const topic of [...partitions.keys()].sort()) {
    const readers = sorted.filter(({ topics }) => topics.includes(topic));
    for (const partition of partitions.get(topic) ?? []) {
      const [first, ...others] = readers;
      if (first === undefined) break;
      const { id } = others.reduce((least, each) => (countOf(each) < countOf(least) ? each : least), first);
      const share = shares.get(id);
      share?.set(topic, [...(share.get(topic) ?? []), partition]);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  }
  return shares;
}

/**
 * The leader's part in the consumer group. The client library's own gives all members shares of the topics that the leader reads: what
 * only others read would be read by nobody, without a word.
 */
export function partitionShares({ cluster }: { readonly cluster: Cluster }): Assigner {
  return {
    name: NAME,
    version: VERSION,
    async assign({ members }): Promise<GroupMemberAssignment[]> {
      const readers = members.map(memberOf);
      const topics = [...new Set(readers.flatMap((member) => member.topics))];
      await cluster.addMultipleTargetTopics(topics);
      const partitions = new Map(
        topics.map((topic) => [
          topic,
          cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId),
        ]),
      );
      return [...shareOut(readers, partitions)].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: VERSION,
          assignment: Object.fromEntries([...assignment].map(([topic, list]) => [topic, [...list]])),
          userData: NOTHING,
        }),
      }));
    },
    protocol: ({ topics }) => ({
      name: NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics, userData: NOTHING }),
    }),
  };
}

function memberOf({ memberId, memberMetadata }: GroupMember): Member {
  return { id: memberId, topics: AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? [] };
}
