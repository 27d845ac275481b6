import { classifyRedisError, replyWord } from '@iotedge-redis/common';
import type { RecordFault } from '../record.ts';

/**
 * What the text of an error reply to one record says of it: a fault of the record, or, as a sentence, that the server or this user's
 * rights are the reason, and another record would fare no better.
 */
export function refusalOf(text: string): RecordFault | string {
  const reply = new Error(text.replace(/^-/, ''));
  reply.name = 'ReplyError';
  const word = replyWord(reply);
  if (word === 'WRONGTYPE') return { code: 'WRONG_TYPE', reason: 'the key holds another type of value' };
  if (word === 'ERR' && classifyRedisError(reply).code !== 'REDIS_DENIED')
    return { code: 'REFUSED', reason: 'Redis refused the record' };
  return `Redis refused a record (${word ?? 'no code'}); check its ACL; it is tried again`;
}
