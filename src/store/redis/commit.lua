-- One commit, all or nothing: checks the history and every expected revision, then writes journal, documents and indexes.
-- KEYS  1 meta, 2 documents, 3 revisions, 4 journal, 5 subjects, 6 requests
-- ARGV  1 format of this build, 2 epoch to begin a store with that was never filled, 3 mark of the entry,
--       4 request id ('' for none), 5-7 what was decided on: epoch ('' for whatever is there), seq, mark,
--       8 members of the entry from `at` to `requestId` as JSON without braces,
--       9 entries to keep, 10 entries to trim at most,
--       11 number of writes, then for each: key, key as JSON, expected revision, body as JSON ('' to delete);
--       then for each read: key, expected revision
-- returns {'committed', entry} | {'repeated', entry} | {'conflict', key, expected, actual}
--       | {'regressed', epoch, seq, mark} | {'newer', format} | {'damaged', what}
-- Bodies are passed on as text and never decoded: cjson would turn [] into {} and round large numbers.

local FORMAT = tonumber(ARGV[1])
local WRITES_AT = 12
local function int(number) return string.format('%.0f', number) end

local function entryOf(at)
  local found = redis.call('XRANGE', KEYS[4], at .. '-0', at .. '-0')[1]
  if not found then return nil end
  local fields = {}
  for i = 1, #found[2], 2 do fields[found[2][i]] = found[2][i + 1] end
  return fields
end

local meta = redis.call('HMGET', KEYS[1], 'format', 'epoch', 'seq', 'mark', 'first', 'count')
local epoch, seq, mark, first = meta[2], tonumber(meta[3]), meta[4], tonumber(meta[5])
if not epoch then
  if redis.call('EXISTS', KEYS[2], KEYS[4]) > 0 then return {'damaged', 'documents or a journal without an epoch'} end
  if ARGV[5] ~= '' then return {'regressed', '', '0', ''} end
  epoch, seq, mark, first = ARGV[2], 0, '', 1
else
  if tonumber(meta[1]) > FORMAT then return {'newer', meta[1]} end
  if redis.call('HLEN', KEYS[2]) ~= tonumber(meta[6]) then return {'damaged', 'the documents are not all there'} end
  local last = seq >= first and entryOf(int(seq))
  if seq >= first and (not last or last.mark ~= mark) then return {'damaged', 'the journal is not all there'} end
end
-- A key of another type fails here, where nothing is written yet.
redis.call('HLEN', KEYS[3])
redis.call('ZCARD', KEYS[5])
redis.call('HLEN', KEYS[6])

-- Is what was decided on a part of this history?
if ARGV[5] ~= '' then
  local known = tonumber(ARGV[6])
  local same = ARGV[5] == epoch and known <= seq
  if same and known == seq then
    same = ARGV[7] == mark
  elseif same and known == 0 then
    same = ARGV[7] == ''
  elseif same and known >= first then
    local entry = entryOf(ARGV[6])
    same = entry ~= nil and entry.mark == ARGV[7]
  end
  if not same then return {'regressed', epoch, int(seq), mark} end
end

if ARGV[4] ~= '' then
  local earlier = redis.call('HGET', KEYS[6], ARGV[4])
  local entry = earlier and entryOf(earlier)
  if entry then return {'repeated', entry.entry} end
end

-- Every expectation is looked at before anything is written.
local writes = tonumber(ARGV[11])
local before, revisions = {}, {}
local function expect(key, expected)
  local text = redis.call('HGET', KEYS[2], key)
  local actual = 0
  if text then
    local revision, format = string.match(text, '^{"revision":(%d+),"format":(%d+),')
    if not revision then return {'damaged', 'the document ' .. key .. ' is not what was written'} end
    if tonumber(format) > FORMAT then return {'newer', format} end
    actual = tonumber(revision)
  end
  before[key], revisions[key] = text, actual
  if actual ~= tonumber(expected) then return {'conflict', key, expected, int(actual)} end
end
local argument = WRITES_AT
for _ = 1, writes do
  local fault = expect(ARGV[argument], ARGV[argument + 2])
  if fault then return fault end
  argument = argument + 4
end
while argument < #ARGV do
  local fault = expect(ARGV[argument], ARGV[argument + 1])
  if fault then return fault end
  argument = argument + 2
end

local id = int(seq + 1)
local changes, subjects, after = {}, {}, {}
for i = 1, writes do
  local at = WRITES_AT + (i - 1) * 4
  local key, name, body = ARGV[at], ARGV[at + 1], ARGV[at + 3]
  if body ~= '' then
    local last = before[key] and revisions[key] or tonumber(redis.call('HGET', KEYS[3], key) or '0')
    after[i] = '{"revision":' .. int(last + 1) .. ',"format":' .. ARGV[1] .. ',"key":' .. name .. ',"body":' .. body .. '}'
  end
  changes[i] = '{"key":' .. name .. ',"before":' .. (before[key] or 'null') .. ',"after":' .. (after[i] or 'null') .. '}'
  subjects[#subjects + 1] = 'subject'
  subjects[#subjects + 1] = key
end
local entry = '{"seq":' .. id .. ',"mark":"' .. ARGV[3] .. '","format":' .. ARGV[1] .. ',' .. ARGV[8]
  .. ',"changes":[' .. table.concat(changes, ',') .. ']}'

-- First, because it is the only write that can fail: where the stream is ahead of meta. From here on Redis refuses nothing.
-- Lua's stack takes 8,000 values at once, and a commit has at most 1,000 subjects.
redis.call('XADD', KEYS[4], id .. '-0', 'entry', entry, 'mark', ARGV[3], 'previous', mark, 'epoch', epoch,
  'request', ARGV[4], unpack(subjects))
for i = 1, writes do
  local key = ARGV[WRITES_AT + (i - 1) * 4]
  if after[i] then
    redis.call('HSET', KEYS[2], key, after[i])
  else
    -- An earlier life may have had higher ones, where an operator has restored an older state.
    local last = tonumber(redis.call('HGET', KEYS[3], key) or '0')
    redis.call('HSET', KEYS[3], key, int(math.max(last, revisions[key])))
    redis.call('HDEL', KEYS[2], key)
  end
  redis.call('ZADD', KEYS[5], 0, #key .. ':' .. key .. ':' .. string.format('%016.0f', seq + 1))
end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[6], ARGV[4], id) end

-- Trimmed entries take their places in the indexes with them.
local keepFrom = seq + 1 - tonumber(ARGV[9]) + 1
if first < keepFrom then
  local oldest = redis.call('XRANGE', KEYS[4], '-', int(keepFrom - 1) .. '-0', 'COUNT', ARGV[10])
  first = keepFrom
  for i, old in ipairs(oldest) do
    local oldSeq = tonumber(string.match(old[1], '^%d+'))
    if i == tonumber(ARGV[10]) then first = oldSeq + 1 end
    for j = 1, #old[2], 2 do
      local name, value = old[2][j], old[2][j + 1]
      if name == 'subject' then
        redis.call('ZREM', KEYS[5], #value .. ':' .. value .. ':' .. string.format('%016.0f', oldSeq))
      elseif name == 'request' and value ~= '' and redis.call('HGET', KEYS[6], value) == int(oldSeq) then
        redis.call('HDEL', KEYS[6], value)
      end
    end
  end
  redis.call('XTRIM', KEYS[4], 'MINID', '=', int(first) .. '-0')
end

redis.call('HSET', KEYS[1], 'format', int(math.max(FORMAT, tonumber(meta[1] or '0'))), 'epoch', epoch, 'seq', id,
  'mark', ARGV[3], 'first', int(first), 'count', redis.call('HLEN', KEYS[2]))
return {'committed', entry}
