import { SuiteError, callScript } from '@iotedge-redis/common';
import type { Condition, DeleteCommand, KeyCommand, SetCommand } from './commands.ts';
import type { Databases } from './databases.ts';
import { MAX_PAYLOAD_BYTES, etagOf } from './grammar.ts';
import { parseStored } from './read-reply.ts';
import type { StoredItem } from './read-reply.ts';
import { boundedRead, conditionalWrite } from './scripts.ts';

/** A condition did not hold; `etag` is that of the value which is there, when it is a string. */
export class ConflictError extends SuiteError {
  readonly etag: string | undefined;

  constructor(problem: string, etag: string | undefined) {
    super('CONFLICT', `condition failed: ${problem}`);
    this.etag = etag;
  }
}

/** Reads and writes single keys; every error is a SuiteError, and a return means that Redis confirmed. */
export class ItemStore {
  readonly #databases: Databases;

  constructor(databases: Databases) {
    this.#databases = databases;
  }

  /** Answers the etag of what is stored now. */
  async set({ key, value, ttlSeconds, condition, db }: SetCommand): Promise<{ etag: string }> {
    if (condition !== undefined) {
      return this.#conditional({ key, condition, db, action: 'set', value, ttlMs: (ttlSeconds ?? 0) * 1000 });
    }
    await this.#databases.write(db, 'writing a key', (client) =>
      ttlSeconds === undefined ? client.set(key, value) : client.set(key, value, 'EX', ttlSeconds),
    );
    return { etag: etagOf(value) };
  }

  /** NOT_FOUND when there was nothing to delete. */
  async delete({ key, condition, db }: DeleteCommand): Promise<void> {
    if (condition !== undefined) {
      await this.#conditional({ key, condition, db, action: 'del', value: '', ttlMs: 0 });
      return;
    }
    const count = await this.#databases.write(db, 'deleting a key', (client) => client.del(key));
    if (count === 0) throw missing();
  }

  /** Undefined content when the value has more bytes than `limit` or than a reply can carry; NOT_FOUND when there is none. */
  async get({ key, db }: KeyCommand, limit = MAX_PAYLOAD_BYTES): Promise<StoredItem> {
    const reply = await this.#databases.read(db, 'reading a key', (client) =>
      callScript(client, boundedRead, [key], [limit]),
    );
    const item = parseStored(reply);
    if (item === undefined) throw missing();
    return item;
  }

  async #conditional(write: ConditionalWrite): Promise<{ etag: string }> {
    const { key, condition, db, action, value, ttlMs } = write;
    const args = [condition.kind, operandOf(condition), action, value, ttlMs];
    const reply = await this.#databases.write(
      db,
      `${action === 'set' ? 'writing' : 'deleting'} a key under a condition`,
      (client) => callScript(client, conditionalWrite, [key], args),
    );
    const [outcome, etag] = Array.isArray(reply) ? reply.map(String) : [];
    if (outcome === 'ok') return { etag: etag ?? '' };
    if (outcome === 'other') throw new ConflictError(`the key holds another type than a string`, undefined);
    if (outcome !== 'conflict')
      throw new SuiteError('REDIS_ERROR', 'writing a key: Redis answered in an unknown form');
    throw new ConflictError(conflictText(condition, etag !== ''), etag === '' ? undefined : etag);
  }
}

interface ConditionalWrite {
  readonly key: string;
  readonly condition: Condition;
  readonly db: number | undefined;
  readonly action: 'set' | 'del';
  readonly value: string;
  readonly ttlMs: number;
}

function operandOf(condition: Condition): string {
  if (condition.kind === 'equals') return condition.value;
  return condition.kind === 'match' ? condition.etag : '';
}

function conflictText(condition: Condition, exists: boolean): string {
  if (condition.kind === 'absent') return 'the key exists already (ifAbsent)';
  const name = condition.kind === 'equals' ? 'ifEquals' : 'ifMatch';
  return exists ? `the key holds another value (${name})` : `the key does not exist (${name})`;
}

function missing(): SuiteError {
  return new SuiteError('NOT_FOUND', 'the key does not exist');
}
