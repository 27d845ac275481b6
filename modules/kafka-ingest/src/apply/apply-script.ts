import { defineScript } from '@iotedge-redis/common';
import type { RedisScript } from '@iotedge-redis/common';
import type { Shape } from '../shape/shape.ts';
import { DELETED, UPDATED } from '../shape/shape.ts';

/** What of a shape changes the script's text. */
export type ScriptShape = Pick<Shape, 'payload' | 'suppressUnchanged'> & {
  readonly hasChannel: boolean;
  readonly hasIndex: boolean;
  readonly hasChanges: boolean;
};

export function scriptShape(shape: Shape): ScriptShape {
  return {
    payload: shape.payload,
    suppressUnchanged: shape.suppressUnchanged,
    hasChannel: shape.channel !== undefined && shape.payload !== 'none',
    hasIndex: shape.index !== undefined,
    hasChanges: shape.changesLength > 0,
  };
}

/** `apply` moves a position; `replay` removes a dead letter. */
export type ScriptUse = 'apply' | 'replay';

const cached = new Map<string, RedisScript>();

/**
 * The script that applies a run of records of one partition. It is made for the shape, so that a record costs no more commands
 * and branches than it needs.
 *
 * KEYS: position, change stream, dead letters, index. ARGV: the position that must be found; longest change stream; longest
 * dead-letter stream; the records; last of all the position to leave and the timestamp of the last record.
 *
 * Answers {1, suppressed, dead} when all were applied; {0, position} when another position was found ('' for none);
 * {2, suppressed, dead, n, offset, error} when record n (from 0) was refused, and {4, …} when there is no room for its dead letter: the ones before it
 * were applied and the position stands at its offset; {3, key} when a stream or the index holds something else.
 *
 * The first write is a command that Redis refuses when it is out of memory, read-only, without disk or replicas; once it went
 * through, Redis lets the rest of the script pass. So a call is refused as a whole, on any version, without script flags. It leaves
 * the position where it is, and the last one moves it: when the append-only file ends inside of what a script wrote, Redis drops that from
 * memory but leaves its beginning in the file, and takes it for a part of the next transaction when it is started once more.
 *
 * For `replay` the first argument is the dead letter's id and the third `1` when a key that exists is to be left alone. Answers
 * {0} when there is no such letter any more, {5} when the key exists, else as above; a letter that took effect is removed. Its
 * entry of the change stream comes after the newest one, since its own place is in the past.
 */
export function applyScript(shape: ScriptShape, use: ScriptUse = 'apply'): RedisScript {
  const name = use + JSON.stringify(shape);
  const known = cached.get(name);
  if (known !== undefined) return known;
  const script = defineScript(text(shape, use));
  cached.set(name, script);
  return script;
}

function when(condition: boolean, lua: string): string {
  return condition ? lua : '';
}

function text(shape: ScriptShape, use: ScriptUse): string {
  const isReplay = use === 'replay';
  const { payload, suppressUnchanged, hasChannel, hasIndex, hasChanges } = shape;
  const needsNames = payload === 'json';
  const looks = needsNames || suppressUnchanged;
  const publishes = payload !== 'none';
  const skips = suppressUnchanged ? ' and isChanged' : '';
  return `
local position, changes, letters, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local pcall = redis.pcall
local function isError(reply) return type(reply) == 'table' and reply.err ~= nil end
${isReplay ? "if #redis.call('XRANGE', letters, ARGV[1], ARGV[1]) == 0 then return {0, ''} end" : "local stored = redis.call('HGET', position, 'next')\nif stored ~= ARGV[1] then return {0, stored or ''} end"}
for _, key in ipairs({changes, letters}) do
  local kind = redis.call('TYPE', key)
  kind = kind.ok or kind
  if kind ~= 'stream' and kind ~= 'none' then return {3, key} end
end
${when(
  hasIndex,
  `local kind = redis.call('TYPE', index)
kind = kind.ok or kind
if kind ~= 'set' and kind ~= 'none' then return {3, index} end`,
)}
local last = #ARGV - 2
${when(!isReplay, "-- Whatever may be forbidden to this user and raises has to do so before the first write.\nlocal room = ARGV[3] - redis.call('XLEN', letters)")}
${when(!isReplay, "local begun = pcall('HSET', position, 'next', ARGV[1])\nif isError(begun) then return begun end")}
local at, record, suppressed, dead = 4, 0, 0, 0
while at <= last do
  local op, offset, key = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  at = at + 3
  local failed
  ${when(isReplay, "if ARGV[3] == '1' and redis.call('EXISTS', key) == 1 then return {5} end")}
  if op == 'f' then
    local count = tonumber(ARGV[at])
    if dead >= room then
      redis.call('HSET', position, 'next', offset, 'ts', '')
      return {4, suppressed, dead, record, offset, ''}
    end
    failed = pcall('XADD', letters, '*', unpack(ARGV, at + 1, at + count))
    at = at + count + 1
    dead = dead + 1
  else
    ${when(hasChannel, 'local channel = ARGV[at]\n    at = at + 1')}
    ${when(payload === 'json', 'local notice = ARGV[at]\n    at = at + 1')}
    ${when(hasIndex, 'local member = ARGV[at]\n    at = at + 1')}
    ${when(looks, 'local isChanged = true')}
    ${when(needsNames, 'local names = {}')}
    local verb = '${UPDATED}'
    local event = 'hset'
    if op == 'h' then
      local to = at + ARGV[at]
      ${when(looks, merge(needsNames, 'at + 1', 'to'))}
      failed = pcall('HSET', key, unpack(ARGV, at + 1, to))
      at = to + 1
    elseif op == 's' then
      ${when(looks, "local old = pcall('GET', key)\n      isChanged = old ~= ARGV[at]")}
      failed = pcall('SET', key, ARGV[at])
      event = 'set'
      at = at + 1
    elseif op == 't' then
      ${when(looks, "local old = pcall('GET', key)\n      isChanged = old ~= ARGV[at + 1]")}
      failed = pcall('SET', key, ARGV[at + 1], 'PX', ARGV[at])
      event = 'set'
      at = at + 2
    elseif op == 'd' then
      failed = pcall('DEL', key)
      ${when(looks, 'isChanged = failed ~= 0')}
      verb = '${DELETED}'
      event = 'del'
    elseif op == 'm' then
      local ttl, gone = ARGV[at], tonumber(ARGV[at + 1])
      local first = at + 2 + gone
      local to = first + ARGV[first]
      ${when(looks, merge(needsNames, 'first + 1', 'to'))}
      ${when(looks, removal(needsNames))}
      for from = first + 1, to, 4000 do
        if not isError(failed) then failed = pcall('HSET', key, unpack(ARGV, from, math.min(from + 3999, to))) end
      end
      for from = at + 2, first - 1, 4000 do
        if not isError(failed) then failed = pcall('HDEL', key, unpack(ARGV, from, math.min(from + 3999, first - 1))) end
      end
      if ttl ~= '0' and not isError(failed) then failed = pcall('PEXPIRE', key, ttl) end
      at = to + 1
    else
      local ttl = ARGV[at]
      local to = at + 1 + ARGV[at + 1]
      ${when(looks, replacement(needsNames))}
      failed = pcall('DEL', key)
      for from = at + 2, to, 4000 do
        if not isError(failed) then failed = pcall('HSET', key, unpack(ARGV, from, math.min(from + 3999, to))) end
      end
      if ttl ~= '0' and not isError(failed) then failed = pcall('PEXPIRE', key, ttl) end
      at = to + 1
    end
    if not isError(failed) then
      ${when(hasIndex, "failed = pcall(op == 'd' and 'SREM' or 'SADD', index, member)")}
      ${when(publishes, `if not isError(failed)${skips} then failed = pcall('PUBLISH', ${hasChannel ? 'channel' : 'key'}, ${message(shape)}) end`)}
      ${when(
        hasChanges,
        `if not isError(failed)${skips} then
        ${isReplay ? AFTER_NEWEST : ''}failed = pcall('XADD', changes, 'MAXLEN', '~', ARGV[2], ${isReplay ? "id, 'key', key, 'op', verb, 'replay', offset" : "offset .. '-1', 'key', key, 'op', verb"})
        -- The id is there already: a repetition, which readers are to hear of once.
        if isError(failed) and string.find(failed.err, '^%-?ERR') then failed = nil end
      end`,
      )}
      ${when(suppressUnchanged, 'if not isChanged then suppressed = suppressed + 1 end')}
    end
  end
  if isError(failed) then
    ${when(!isReplay, "redis.call('HSET', position, 'next', offset, 'ts', '')")}
    return {2, suppressed, dead, record, offset, failed.err}
  end
  record = record + 1
end
${isReplay ? "redis.call('XDEL', letters, ARGV[1])" : "redis.call('HSET', position, 'next', ARGV[last + 1], 'ts', ARGV[last + 2])"}
return {1, suppressed, dead}
`;
}

const AFTER_NEWEST = `local newest = redis.call('XREVRANGE', changes, '+', '-', 'COUNT', 1)[1]
        local id = offset .. '-1'
        if newest then
          local first, second = string.match(newest[1], '^(%d+)-(%d+)$')
          id = first .. '-' .. (second + 1)
        end
        `;

/** Which of the fields from \`from\` to \`to\` differ from what the hash holds. */
function merge(needsNames: boolean, from: string, to: string): string {
  return `isChanged = false
      for i = ${from}, ${to}, 2 do
        if pcall('HGET', key, ARGV[i]) ~= ARGV[i + 1] then
          isChanged = true
          ${needsNames ? 'names[#names + 1] = ARGV[i]' : 'break'}
        end
      end`;
}

function removal(needsNames: boolean): string {
  return `for i = at + 2, first - 1 do
        if pcall('HEXISTS', key, ARGV[i]) == 1 then
          isChanged = true
          ${needsNames ? 'names[#names + 1] = ARGV[i]' : 'break'}
        end
      end`;
}

function replacement(needsNames: boolean): string {
  return `isChanged = false
      local old, seen = pcall('HGETALL', key), {}
      for i = at + 2, to, 2 do seen[ARGV[i]] = ARGV[i + 1] end
      if old.err then
        isChanged = true
      else
        for i = 1, #old, 2 do
          if seen[old[i]] ~= old[i + 1] then
            isChanged = true
            ${when(needsNames, 'names[#names + 1] = old[i]')}
          end
          seen[old[i]] = nil
        end
        for name in pairs(seen) do
          isChanged = true
          ${when(needsNames, 'names[#names + 1] = name')}
        end
      end`;
}

function message({ payload }: ScriptShape): string {
  if (payload === 'updates') return `verb == '${DELETED}' and '${DELETED}' or 'updates'`;
  if (payload === 'event') return 'event';
  return `notice .. (#names == 0 and '[]' or cjson.encode(names)) .. '}'`;
}
