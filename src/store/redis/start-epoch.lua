-- Begins a new epoch: an operator has decided what a store that has gone back, or is damaged, shall hold. All or nothing.
-- Put after rights.lua, standing.lua and append.lua.
-- KEYS  1 meta, 2 documents, 3 revisions, 4 journal, 5 subjects, 6 requests
-- ARGV  'prove' to be told only whether the user may do all this; or
--       1 format of this build, 2-4 where the store must stand: epoch ('' for a store that holds nothing), seq, mark,
--       5 the new epoch, 6 the epochs that it replaces beside those that the store's had, with spaces between,
--       7-9 what the deciding replica knows: epoch, seq, mark,
--       10 'damaged' where the store was found to be; then all of its documents are replaced by those given here, and the
--          entries that neither its head nor the replica confirms are taken out of its journal; a last id of the stream that
--          another program has left is set back,
--       11 number of entries, then for each: seq, mark, request id ('' for none), entry as JSON, number of subjects, subjects…;
--       then for each document that changes: key, document as JSON ('' where it is gone), revision that it had then
-- returns {'started'} | {'regressed', epoch, seq, mark} | {'newer', format} | {'damaged', what}
--       | {'forbidden', command, key} | {'halfway', why} | {'allowed'}

local WRITES = {
  {'XADD', KEYS[4]}, {'HSET', KEYS[2]}, {'HDEL', KEYS[2]}, {'HSET', KEYS[3]}, {'ZADD', KEYS[5]}, {'HSET', KEYS[6]},
  {'ZREM', KEYS[5]}, {'HDEL', KEYS[6]}, {'XDEL', KEYS[4]}, {'HSET', KEYS[1]},
}
if ARGV[1] == 'prove' then return forbidden(WRITES) or forbidden({{'XSETID', KEYS[4]}}) or {'allowed'} end

local ENTRIES_AT = 12
-- So many entries are looked at in one step where the journal is cut back.
local CUT_STEP = 100

local head = headOf(KEYS[1])
if head.format and head.format > tonumber(ARGV[1]) then return {'newer', head.formatText} end
local damage = damageOf(head, KEYS[2], KEYS[4])
local seq = damage and highestSeq(head, KEYS[4]) or head.seq
local isReplaced = ARGV[10] == 'damaged'
if damage and not isReplaced then return {'damaged', damage} end
local isAsFound = head.epoch == ARGV[2] and int(seq) == ARGV[3] and head.mark == ARGV[4]
if not isAsFound or (isReplaced and not damage) then return {'regressed', head.epoch, int(seq), head.mark} end
-- A key of another type fails here, where nothing is written yet.
redis.call('HLEN', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('XLEN', KEYS[4])
redis.call('ZCARD', KEYS[5])
-- What is read again between the writes is read here once, so that a right to read is not found missing there.
redis.call('HGET', KEYS[6], '')

local argument = ENTRIES_AT
local entries = {}
for i = 1, tonumber(ARGV[11]) do
  local entry = {
    seq = ARGV[argument], mark = ARGV[argument + 1], request = ARGV[argument + 2], text = ARGV[argument + 3], subjects = {},
  }
  local subjectsAt = argument + 5
  argument = subjectsAt + tonumber(ARGV[argument + 4])
  for at = subjectsAt, argument - 1 do entry.subjects[#entry.subjects + 1] = ARGV[at] end
  entries[i] = entry
end

-- A document that goes back to an earlier revision, or away, must never be given a revision a second time.
local revisions = {}
local function outlived(key, revision)
  if revision == 0 then return end
  local last = revisions[key] or whole(redis.call('HGET', KEYS[3], key) or '0') or 0
  -- No revision is above the seq of its store; what says so is junk.
  revisions[key] = math.min(math.max(last, revision), seq)
end
local documents, count = {}, redis.call('HLEN', KEYS[2])
local stored = isReplaced and redis.call('HKEYS', KEYS[2]) or {}
if isReplaced then count = 0 end
for _, key in ipairs(stored) do
  documents[key] = ''
  local isLarge = redis.call('HSTRLEN', KEYS[2], key) > DOCUMENT_BYTES_MAX
  local text = isLarge and '' or redis.call('HGET', KEYS[2], key)
  outlived(key, whole(string.match(text, '^{"revision":(%d+),') or '0') or seq)
end
while argument < #ARGV do
  local key, text, revision = ARGV[argument], ARGV[argument + 1], tonumber(ARGV[argument + 2])
  outlived(key, revision)
  local isThere = not isReplaced and redis.call('HEXISTS', KEYS[2], key) == 1
  if isThere then count = count - 1 end
  if text ~= '' then count = count + 1 end
  documents[key] = text
  argument = argument + 3
end

-- The journal of a damaged store holds up to its head, or up to what the replica knows, if it has that.
local confirmed = head.epoch == '' and 0 or math.min(head.seq or 0, seq)
if isReplaced then
  local known = entryAt(KEYS[4], ARGV[8])
  if known and known.epoch == ARGV[7] and known.mark == ARGV[9] then confirmed = math.max(confirmed, tonumber(ARGV[8])) end
end
local oldest = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
local oldestSeq = oldest and tonumber(string.match(oldest[1], '^%d+'))
local first = entries[1].seq
if oldestSeq and (not isReplaced or oldestSeq <= confirmed) then
  first = not isReplaced and head.epoch ~= '' and int(head.first) or int(oldestSeq)
end

-- Another program has appended an id, above which there is none for the first entry.
local isOverrun = isReplaced and lastIdOf(KEYS[4]) >= tonumber(entries[1].seq)
local missing = forbidden(WRITES) or (isOverrun and forbidden({{'XSETID', KEYS[4]}}))
if missing then return missing end

local function member(key, at) return #key .. ':' .. key .. ':' .. string.format('%016.0f', at) end

local last, previous = int(seq), head.mark
local function append(entry)
  local subjects = {}
  for _, key in ipairs(entry.subjects) do
    subjects[#subjects + 1] = 'subject'
    subjects[#subjects + 1] = key
  end
  redis.call('XADD', KEYS[4], entry.seq .. '-0', 'entry', entry.text, 'mark', entry.mark, 'previous', previous,
    'epoch', ARGV[5], 'request', entry.request, unpack(subjects))
  last, previous = entry.seq, entry.mark
end

-- What a write that ended halfway, or another program, has left in the journal: indexed where the replica knows it, else taken away.
local function settle(id, at, fields)
  local isConfirmed = at <= confirmed and id == int(at) .. '-0'
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'subject' then
      if isConfirmed then
        redis.call('ZADD', KEYS[5], 0, member(value, at))
      elseif at > confirmed then
        redis.call('ZREM', KEYS[5], member(value, at))
      end
    elseif name == 'request' and value ~= '' then
      if isConfirmed then
        redis.call('HSET', KEYS[6], value, int(at))
      elseif at > confirmed and redis.call('HGET', KEYS[6], value) == int(at) then
        redis.call('HDEL', KEYS[6], value)
      end
    end
  end
  if not isConfirmed then redis.call('XDEL', KEYS[4], id) end
end

local function settleJournal(to)
  local from = int(head.epoch == '' and 0 or math.min(head.seq or 0, seq)) .. '-0'
  while true do
    local step = redis.call('XRANGE', KEYS[4], '(' .. from, to, 'COUNT', CUT_STEP)
    for _, found in ipairs(step) do
      settle(found[1], tonumber(string.match(found[1], '^%d+')), found[2])
      from = found[1]
    end
    if #step < CUT_STEP then return end
  end
end

-- The first write: Redis may still refuse it, and then nothing is written.
if isOverrun then
  -- It leaves the store as damaged as it is.
  redis.call('HSET', KEYS[1], 'format', ARGV[1])
else
  local refused = appendFirst(KEYS[4], seq, function() append(entries[1]) end)
  if refused then return refused end
end
local half = finish(function()
  if isReplaced then settleJournal(isOverrun and '+' or int(tonumber(entries[1].seq) - 1)) end
  if isOverrun then
    setLastId(KEYS[4], seq)
    append(entries[1])
  end
  for i = 2, #entries do append(entries[i]) end
  for _, entry in ipairs(entries) do
    for _, key in ipairs(entry.subjects) do redis.call('ZADD', KEYS[5], 0, member(key, tonumber(entry.seq))) end
    if entry.request ~= '' then redis.call('HSET', KEYS[6], entry.request, entry.seq) end
  end
  for key, revision in pairs(revisions) do redis.call('HSET', KEYS[3], key, int(revision)) end
  for key, text in pairs(documents) do
    if text == '' then redis.call('HDEL', KEYS[2], key) else redis.call('HSET', KEYS[2], key, text) end
  end
  local supersedes = head.supersedes ~= '' and (head.supersedes .. ' ' .. ARGV[6]) or ARGV[6]
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'epoch', ARGV[5], 'seq', last, 'mark', previous, 'first', first,
    'supersedes', supersedes, 'count', int(count))
end)
return half or {'started'}
