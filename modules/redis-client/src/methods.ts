import { SuiteError } from '@iotedge-redis/common';
import type { JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { checkAccess } from './access.ts';
import type { AccessRules } from './access.ts';
import { parseDeleteItem, parseGetItem, parseGetItems, parseSetItem, parseSetItems } from './commands.ts';
import type { KeyCommand, SetCommand } from './commands.ts';
import { ConflictError } from './item-store.ts';
import type { ItemStore } from './item-store.ts';
import { manyReply } from './many-reply.ts';
import type { ItemResult } from './many-reply.ts';
import { MAX_PAYLOAD_BYTES } from './grammar.ts';
import { contentBytes, describeItem, readReply } from './read-reply.ts';
import { deleted, failure, failureText, statusOf, written } from './replies.ts';

export interface MethodContext {
  readonly store: ItemStore;
  rules(): AccessRules;
  /** What object forms say about the last write, beside its ETag. */
  writeExtras(): JsonObject;
}

/** What a call touched, for logs and counters: never a value. */
export interface Touched {
  key?: string;
  items?: number;
  readBytes: number;
  writtenBytes: number;
}

export type Method = (payload: JsonValue, touched: Touched) => Promise<MethodReply>;

/** How many keys of one request are under way at the same time. */
const PARALLEL = 32;

/** The direct methods on items; each answers every request, also a failed one, with `{Message, Status}`. */
export function itemMethods(context: MethodContext): Readonly<Record<string, Method>> {
  return {
    SetItem: (payload, touched) => guard('SetItem', true, () => setItem(context, payload, touched)),
    GetItem: (payload, touched) => guard('GetItem', false, () => getItem(context, payload, touched)),
    DeleteItem: (payload, touched) => guard('DeleteItem', true, () => deleteItem(context, payload, touched)),
    SetItems: (payload, touched) => guard('SetItems', true, () => setItems(context, payload, touched)),
    GetItems: (payload, touched) => guard('GetItems', false, () => getItems(context, payload, touched)),
  };
}

async function guard(
  method: string,
  isWrite: boolean,
  run: () => Promise<MethodReply>,
): Promise<MethodReply> {
  try {
    return await run();
  } catch (error) {
    return failure(method, error, isWrite);
  }
}

async function setItem(context: MethodContext, payload: JsonValue, touched: Touched): Promise<MethodReply> {
  const { form, command } = parseSetItem(payload);
  touched.key = command.key;
  try {
    const { etag } = await store(context, command, touched);
    return written(
      command.key,
      command.value,
      form === 'object' ? { ETag: etag, ...context.writeExtras() } : {},
    );
  } catch (error) {
    return failure('SetItem', error, true, form === 'object' ? conflictExtras(error) : {});
  }
}

async function store(
  context: MethodContext,
  command: SetCommand,
  touched: Touched,
): Promise<{ etag: string }> {
  checkAccess(context.rules(), command.key, true);
  const result = await context.store.set(command);
  touched.writtenBytes += Buffer.byteLength(command.value);
  return result;
}

async function getItem(context: MethodContext, payload: JsonValue, touched: Touched): Promise<MethodReply> {
  const { form, command } = parseGetItem(payload);
  touched.key = command.key;
  checkAccess(context.rules(), command.key, false);
  const item = await context.store.get(command);
  const reply = readReply(item, form);
  touched.readBytes = contentBytes(item.content);
  return reply;
}

async function deleteItem(
  context: MethodContext,
  payload: JsonValue,
  touched: Touched,
): Promise<MethodReply> {
  const { form, command } = parseDeleteItem(payload);
  touched.key = command.key;
  try {
    checkAccess(context.rules(), command.key, true);
    await context.store.delete(command);
    return deleted(command.key);
  } catch (error) {
    return failure('DeleteItem', error, true, form === 'object' ? conflictExtras(error) : {});
  }
}

function conflictExtras(error: unknown): JsonObject {
  return error instanceof ConflictError && error.etag !== undefined ? { ETag: error.etag } : {};
}

/** Items are applied one by one in their order: a key that comes twice ends with its last value. */
async function setItems(context: MethodContext, payload: JsonValue, touched: Touched): Promise<MethodReply> {
  const commands = parseSetItems(payload);
  touched.items = commands.length;
  const results = await inParallel(commands, async (command): Promise<ItemResult> => {
    try {
      const { etag } = await store(context, command, touched);
      return { Key: command.key, Status: 200, ETag: etag };
    } catch (error) {
      return failedItem('SetItems', command.key, error, true);
    }
  });
  return manyReply('written', results);
}

async function getItems(context: MethodContext, payload: JsonValue, touched: Touched): Promise<MethodReply> {
  const commands = parseGetItems(payload);
  touched.items = commands.length;
  let budget = MAX_PAYLOAD_BYTES;
  const read = async (command: KeyCommand): Promise<ItemResult> => {
    try {
      checkAccess(context.rules(), command.key, false);
      const item = await context.store.get(command, Math.max(0, budget));
      const { message, extras } = describeItem(item);
      budget -= Buffer.byteLength(message);
      touched.readBytes += contentBytes(item.content);
      return { Key: command.key, Status: 200, Value: message, ...extras };
    } catch (error) {
      return failedItem('GetItems', command.key, error, false);
    }
  };
  return manyReply('read', await inParallel(commands, read));
}

function failedItem(method: string, key: string, error: unknown, isWrite: boolean): ItemResult {
  const status = error instanceof SuiteError ? statusOf(error) : 500;
  return { Key: key, Status: status, Message: failureText(method, error, isWrite), ...conflictExtras(error) };
}

/** Starts in order, so that one connection carries the commands in order, and bounds how many are under way. */
async function inParallel<A, B>(inputs: readonly A[], run: (input: A) => Promise<B>): Promise<B[]> {
  const results: B[] = [];
  for (let i = 0; i < inputs.length; i += PARALLEL) {
    results.push(...(await Promise.all(inputs.slice(i, i + PARALLEL).map(run))));
  }
  return results;
}
