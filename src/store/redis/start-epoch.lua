-- Begins a new epoch: an operator has decided what a store that has gone back shall hold. All or nothing.
-- KEYS  1 meta, 2 documents, 3 revisions, 4 journal, 5 subjects, 6 requests
-- ARGV  1 format of this build, 2-4 where the store must stand: epoch ('' for a store that holds nothing), seq, mark,
--       5 the new epoch, 6 the epochs that it replaces beside those that the store's had, with spaces between,
--       7 number of entries, then for each: seq, mark, request id ('' for none), entry as JSON, number of subjects, subjects…;
--       then for each document that changes: key, document as JSON ('' where it is gone), revision that it had then
-- returns {'started'} | {'regressed', epoch, seq, mark} | {'newer', format}

local meta = redis.call('HMGET', KEYS[1], 'format', 'epoch', 'seq', 'mark', 'first', 'supersedes')
local epoch, seq, mark = meta[2] or '', meta[3] or '0', meta[4] or ''
if meta[1] and tonumber(meta[1]) > tonumber(ARGV[1]) then return {'newer', meta[1]} end
if epoch ~= ARGV[2] or seq ~= ARGV[3] or mark ~= ARGV[4] then return {'regressed', epoch, seq, mark} end
-- A key of another type fails here, where nothing is written yet.
redis.call('HLEN', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('ZCARD', KEYS[5])
redis.call('HLEN', KEYS[6])

local argument = 8
local first = redis.call('XLEN', KEYS[4]) > 0 and meta[5] or ARGV[argument]
local last, previous = seq, mark
for _ = 1, tonumber(ARGV[7]) do
  local id, own, request, entry = ARGV[argument], ARGV[argument + 1], ARGV[argument + 2], ARGV[argument + 3]
  local count = tonumber(ARGV[argument + 4])
  argument = argument + 5
  local subjects = {}
  for i = 0, count - 1 do
    subjects[#subjects + 1] = 'subject'
    subjects[#subjects + 1] = ARGV[argument + i]
  end
  -- The first of these is the first write, and the only one that can fail.
  redis.call('XADD', KEYS[4], id .. '-0', 'entry', entry, 'mark', own, 'previous', previous, 'epoch', ARGV[5],
    'request', request, unpack(subjects))
  for i = 0, count - 1 do
    local key = ARGV[argument + i]
    redis.call('ZADD', KEYS[5], 0, #key .. ':' .. key .. ':' .. string.format('%016.0f', tonumber(id)))
  end
  if request ~= '' then redis.call('HSET', KEYS[6], request, id) end
  argument = argument + count
  last, previous = id, own
end
while argument < #ARGV do
  local key, text, revision = ARGV[argument], ARGV[argument + 1], tonumber(ARGV[argument + 2])
  if revision > 0 then
    -- A document that goes back to an earlier revision, or away, must never be given a revision a second time.
    local known = tonumber(redis.call('HGET', KEYS[3], key) or '0')
    redis.call('HSET', KEYS[3], key, string.format('%.0f', math.max(known, revision)))
  end
  if text == '' then
    redis.call('HDEL', KEYS[2], key)
  else
    redis.call('HSET', KEYS[2], key, text)
  end
  argument = argument + 3
end
local supersedes = meta[6] and meta[6] ~= '' and (meta[6] .. ' ' .. ARGV[6]) or ARGV[6]
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'epoch', ARGV[5], 'seq', last, 'mark', previous, 'first', first,
  'supersedes', supersedes, 'count', redis.call('HLEN', KEYS[2]))
return {'started'}
