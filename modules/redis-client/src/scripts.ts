import { defineScript } from '@iotedge-redis/common';

/**
 * Compares, then writes or deletes, in one step that no other client can come between, so that writers outside of this
 * module cannot get around it. ARGV: what must hold (absent, equals, match), its operand, what to do (set, del), the value,
 * the time to live in ms or 0. Answers `ok` and the new etag, or `conflict` and the etag of what is there (empty for none
 * or for another type). Every branch writes once and last: an error from Redis means that nothing happened.
 */
export const conditionalWrite = defineScript(`
local key, kind, operand, action, value, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local current = redis.pcall('GET', key)
local etag = ''
local other = false
if type(current) == 'table' then
  if string.sub(current.err or '', 1, 9) ~= 'WRONGTYPE' then return current end
  other = true
elseif current then
  etag = redis.sha1hex(current)
end
local holds
if kind == 'absent' then holds = not other and not current
elseif kind == 'equals' then holds = not other and current == operand
else holds = etag ~= '' and etag == operand end
if not holds then return {other and 'other' or 'conflict', etag} end
local done
if action == 'del' then
  done = redis.pcall('DEL', key)
  etag = ''
elseif ttl == '0' then
  done = redis.pcall('SET', key, value)
  etag = redis.sha1hex(value)
else
  done = redis.pcall('SET', key, value, 'PX', ttl)
  etag = redis.sha1hex(value)
end
if type(done) == 'table' and done.err then return done end
return {'ok', etag}
`);

/**
 * Reads a value of any type with its remaining time to live, but only when it can fit into a reply: ARGV is the limit in
 * bytes. Answers type, PTTL, size and the content; without content when it is too large.
 */
export const boundedRead = defineScript(`
local key, limit = KEYS[1], tonumber(ARGV[1])
local kind = redis.call('TYPE', key)['ok']
if kind == 'none' then return {kind} end
local ttl = redis.call('PTTL', key)
if kind == 'string' then
  local size = redis.call('STRLEN', key)
  if size > limit then return {kind, ttl, size} end
  return {kind, ttl, size, redis.call('GET', key)}
end
local count = {hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
if not count[kind] then return {kind, ttl, -1} end
local size = redis.call(count[kind], key)
if size > limit / 4 or (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0) > limit * 8 then return {kind, ttl, size} end
local content
if kind == 'hash' then content = redis.call('HGETALL', key)
elseif kind == 'list' then content = redis.call('LRANGE', key, 0, -1)
elseif kind == 'set' then content = redis.call('SMEMBERS', key)
elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
else content = redis.call('XRANGE', key, '-', '+') end
return {kind, ttl, size, content}
`);
