-- One commit, all or nothing: checks the history and every expected revision, then writes journal, documents and indexes.
-- Put after rights.lua and standing.lua.
-- KEYS  1 meta, 2 documents, 3 revisions, 4 journal, 5 subjects, 6 requests
-- ARGV  'prove' to be told only whether the user may do all this; or
--       1 format of this build, 2 epoch to begin a store with that was never filled, 3 mark of the entry,
--       4 request id ('' for none), 5-7 what was decided on: epoch ('' for whatever is there), seq, mark,
--       8 members of the entry from `at` to `requestHash` as JSON without braces,
--       9 entries to keep, 10 entries to trim at most, 11 bytes of the entry at most ('' for any),
--       12 number of writes, then for each: key, key as JSON, expected revision, body as JSON ('' to delete);
--       then for each read: key, expected revision
-- returns {'committed' | 'repeated', entry, seq, mark} | {'conflict', key, expected, actual}
--       | {'regressed', epoch, seq, mark} | {'newer', format} | {'damaged', what}
--       | {'too-large', bytes} | {'absent', key} (it is to be deleted)
--       | {'forbidden', command, key} | {'halfway', why} | {'allowed'}
-- Bodies are passed on as text and never decoded: cjson would turn [] into {} and round large numbers.
-- It has three parts: it reads, it plans, it writes. The last one has no reads in it, and its rights are proven before.

local WRITES = {
  {'XADD', KEYS[4]}, {'HSET', KEYS[2]}, {'HDEL', KEYS[2]}, {'HSET', KEYS[3]}, {'ZADD', KEYS[5]}, {'HSET', KEYS[6]},
  {'ZREM', KEYS[5]}, {'HDEL', KEYS[6]}, {'XTRIM', KEYS[4]}, {'HSET', KEYS[1]},
}
if ARGV[1] == 'prove' then return forbidden(WRITES) or {'allowed'} end

local FORMAT = tonumber(ARGV[1])
local WRITES_AT = 13

local head = headOf(KEYS[1])
local format = tonumber(head.format)
if format and format > FORMAT then return {'newer', head.format} end
local damage = not format and 'the head of the store is not what was written' or damageOf(head, KEYS[2], KEYS[4])
if damage then return {'damaged', damage} end
if head.epoch == '' then
  if ARGV[5] ~= '' then return {'regressed', '', '0', ''} end
  head = {epoch = ARGV[2], seq = 0, mark = '', first = 1, count = 0}
end
local epoch, seq, mark, first = head.epoch, head.seq, head.mark, head.first
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
    local entry = entryAt(KEYS[4], ARGV[6])
    same = entry ~= nil and entry.mark == ARGV[7]
  end
  if not same then return {'regressed', epoch, int(seq), mark} end
end

if ARGV[4] ~= '' then
  local earlier = redis.call('HGET', KEYS[6], ARGV[4])
  local entry = whole(earlier) and entryAt(KEYS[4], earlier)
  if entry then return {'repeated', entry.entry or '', earlier, entry.mark or ''} end
end

-- Every expectation is looked at before anything is written.
local writes = tonumber(ARGV[12])
local before, revisions, junk = {}, {}, {}

-- Whether a text is a document as it is written below; `name` is its key as JSON, where it is known. cjson refuses halves of
-- surrogate pairs, which JSON may escape, so no escape is shown to it.
local function isDocument(text, key, name)
  local plain = string.gsub(string.gsub(text, '\\\\', 'xx'), '\\u%x%x%x%x', 'x')
  local isJson, value = pcall(cjson.decode, plain)
  if not isJson or type(value) ~= 'table' then return false end
  if not name then return value.key == key and string.find(text, ',"body":{', 1, true) ~= nil end
  local from = string.match(text, '^{"revision":%d+,"format":%d+,"key":()')
  local begins = name .. ',"body":{'
  return from ~= nil and string.sub(text, from, from + #begins - 1) == begins
end

-- Whether the journal has an entry about a key that is newer than what the change was decided on.
local function isNewerAbout(key)
  local prefix = '[' .. #key .. ':' .. key .. ':'
  local newest = redis.call('ZREVRANGEBYLEX', KEYS[5], prefix .. '9999999999999999', prefix, 'LIMIT', 0, 1)[1]
  return newest ~= nil and tonumber(string.sub(newest, -16)) > tonumber(ARGV[6])
end

-- `name` is given for what is written: that stands in the entry, so it must be a document as a whole.
local function expect(key, expected, name)
  local isLarge = redis.call('HSTRLEN', KEYS[2], key) > DOCUMENT_BYTES_MAX
  local text = isLarge and '' or redis.call('HGET', KEYS[2], key)
  local actual = 0
  if text then
    local revision, format = string.match(text, '^{"revision":(%d+),"format":(%d+),')
    if revision and tonumber(format) > FORMAT then return {'newer', format} end
    local isDoubtful = name ~= nil or tonumber(expected) == 0
    if not revision or (isDoubtful and not isDocument(text, key, name)) then
      -- Revision 0: the writer has read that it is no document. Else another program has written it since; then the last
      -- version in the journal counts, if the writer knows that.
      if tonumber(expected) > 0 then
        if ARGV[5] == '' then return {'damaged', 'the document ' .. key .. ' is not what was written'} end
        if isNewerAbout(key) then return {'conflict', key, expected, '0'} end
      end
      -- It cannot stand in the entry, and its revision is not known: none is above the seq of its store.
      revisions[key], junk[key] = seq, true
      return nil
    end
    actual = tonumber(revision)
  end
  before[key], revisions[key] = text, actual
  if actual ~= tonumber(expected) then return {'conflict', key, expected, int(actual)} end
end
local argument = WRITES_AT
for _ = 1, writes do
  local fault = expect(ARGV[argument], ARGV[argument + 2], ARGV[argument + 1])
  if fault then return fault end
  if ARGV[argument + 3] == '' and not (before[ARGV[argument]] or junk[ARGV[argument]]) then return {'absent', ARGV[argument]} end
  argument = argument + 4
end
while argument < #ARGV do
  local fault = expect(ARGV[argument], ARGV[argument + 1])
  if fault then return fault end
  argument = argument + 2
end

local id = int(seq + 1)
local count = head.count
local changes, subjects, after, kept = {}, {}, {}, {}
for i = 1, writes do
  local at = WRITES_AT + (i - 1) * 4
  local key, name, body = ARGV[at], ARGV[at + 1], ARGV[at + 3]
  local last = whole(redis.call('HGET', KEYS[3], key) or '0')
  if not last then return {'damaged', 'the kept revision of ' .. key .. ' is not what was written'} end
  if body == '' then
    -- An earlier life may have had higher ones, where an operator has restored an older state.
    kept[i] = int(math.max(last, revisions[key]))
    count = count - 1
  else
    if before[key] or junk[key] then last = revisions[key] else count = count + 1 end
    after[i] = '{"revision":' .. int(last + 1) .. ',"format":' .. ARGV[1] .. ',"key":' .. name .. ',"body":' .. body .. '}'
  end
  changes[i] = '{"key":' .. name .. ',"before":' .. (before[key] or 'null') .. ',"after":' .. (after[i] or 'null') .. '}'
  subjects[#subjects + 1] = 'subject'
  subjects[#subjects + 1] = key
end
local entry = '{"seq":' .. id .. ',"mark":"' .. ARGV[3] .. '","format":' .. ARGV[1] .. ',' .. ARGV[8]
  .. ',"changes":[' .. table.concat(changes, ',') .. ']}'

if ARGV[11] ~= '' and #entry > tonumber(ARGV[11]) then return {'too-large', int(#entry)} end

-- Trimmed entries take their places in the indexes with them.
local oldSubjects, oldRequests = {}, {}
local keepFrom = seq + 1 - tonumber(ARGV[9]) + 1
local isTrimming = first < keepFrom
if isTrimming then
  local oldest = redis.call('XRANGE', KEYS[4], '-', int(keepFrom - 1) .. '-0', 'COUNT', ARGV[10])
  first = keepFrom
  for i, old in ipairs(oldest) do
    local oldSeq = tonumber(string.match(old[1], '^%d+'))
    if i == tonumber(ARGV[10]) then first = oldSeq + 1 end
    for j = 1, #old[2], 2 do
      local name, value = old[2][j], old[2][j + 1]
      if name == 'subject' then
        oldSubjects[#oldSubjects + 1] = #value .. ':' .. value .. ':' .. string.format('%016.0f', oldSeq)
      elseif name == 'request' and value ~= '' and redis.call('HGET', KEYS[6], value) == int(oldSeq) then
        oldRequests[#oldRequests + 1] = value
      end
    end
  end
end

local missing = forbidden(WRITES)
if missing then return missing end

-- The first write: Redis may still refuse it, for want of memory or replicas, and then nothing is written.
-- Lua's stack takes 8,000 values at once, and a commit has at most 1,000 subjects.
redis.call('XADD', KEYS[4], id .. '-0', 'entry', entry, 'mark', ARGV[3], 'previous', mark, 'epoch', epoch,
  'request', ARGV[4], unpack(subjects))
local half = finish(function()
  for i = 1, writes do
    local key = ARGV[WRITES_AT + (i - 1) * 4]
    if after[i] then
      redis.call('HSET', KEYS[2], key, after[i])
    else
      redis.call('HSET', KEYS[3], key, kept[i])
      redis.call('HDEL', KEYS[2], key)
    end
    redis.call('ZADD', KEYS[5], 0, #key .. ':' .. key .. ':' .. string.format('%016.0f', seq + 1))
  end
  if ARGV[4] ~= '' then redis.call('HSET', KEYS[6], ARGV[4], id) end
  for _, member in ipairs(oldSubjects) do redis.call('ZREM', KEYS[5], member) end
  for _, request in ipairs(oldRequests) do redis.call('HDEL', KEYS[6], request) end
  if isTrimming then redis.call('XTRIM', KEYS[4], 'MINID', '=', int(first) .. '-0') end
  -- The last write: no follower is given the entry before it.
  redis.call('HSET', KEYS[1], 'format', int(math.max(FORMAT, format)), 'epoch', epoch, 'seq', id, 'mark', ARGV[3],
    'first', int(first), 'count', int(count))
end)
return half or {'committed', entry, id, ARGV[3]}
