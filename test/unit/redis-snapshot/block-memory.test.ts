import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockMemory } from '../../../modules/redis-snapshot/src/export/block-memory.ts';

test('memory is lent again only once it was given back, and only if it is large enough', () => {
  const memory = new BlockMemory();
  const first = memory.lend(100);
  const second = memory.lend(100);
  assert.notEqual(first.buffer, second.buffer);
  memory.giveBack(first);
  const smaller = memory.lend(60);
  assert.deepEqual([smaller.length, smaller.buffer], [60, first.buffer]);
  memory.giveBack(smaller);
  assert.notEqual(memory.lend(101).buffer, first.buffer);
  assert.equal(memory.lend(100).buffer, first.buffer);
});

test('what was not lent, or was given back already, is not lent to another', () => {
  const memory = new BlockMemory();
  const foreign = Buffer.alloc(10);
  memory.giveBack(foreign);
  const own = memory.lend(10);
  assert.notEqual(own.buffer, foreign.buffer);
  memory.giveBack(own);
  memory.giveBack(own);
  assert.notEqual(memory.lend(10).buffer, memory.lend(10).buffer);
});

test('small memory makes room for larger', () => {
  const memory = new BlockMemory();
  const small = Array.from({ length: 8 }, () => memory.lend(10));
  const large = Array.from({ length: 5 }, () => memory.lend(20));
  for (const block of [...small, ...large]) memory.giveBack(block);
  const again = new Set(Array.from({ length: 5 }, () => memory.lend(5).buffer));
  assert.deepEqual(again, new Set(large.map((block) => block.buffer)));
});
