-- One commit, all or nothing: checks the history and every expected revision, then writes journal, documents and indexes.
-- Put after rights.lua, standing.lua and append.lua.
-- KEYS  1 meta, 2 documents, 3 revisions, 4 journal, 5 subjects, 6 requests
-- ARGV  'prove' to be told only whether the user may do all this; or
--       1 format of this build, 2 epoch to begin a store with that was never filled, 3 mark of the entry,
--       4 request id ('' for none), 5-7 what was decided on: epoch ('' for whatever is there), seq, mark,
--       8 members of the entry from `at` to `requestHash` as JSON without braces,
--       9 entries to keep, 10 entries to trim at most, 11 bytes of the entry at most ('' for any),
--       12 number of writes, then for each: key, key as JSON, expected revision, body as JSON ('' to delete);
--       then for each read: key, expected revision
-- returns {'committed' | 'repeated', entry, seq, mark, then the keys of documents that another program has changed}
--       | {'conflict', key, expected, actual, seq}
--       | {'regressed', epoch, seq, mark} | {'newer', format} | {'damaged', what}
--       | {'too-large', bytes} | {'absent', key} (it is to be deleted)
--       | {'forbidden', command, key} | {'halfway', why} | {'allowed'}
-- Bodies are passed on as text and never decoded: cjson would turn [] into {} and round large numbers.
-- It has three parts: it reads, it plans, it writes. The last one has no reads in it, and its rights are proven before.

local WRITES = {
  {'XADD', KEYS[4]}, {'HSET', KEYS[2]}, {'HDEL', KEYS[2]}, {'HSET', KEYS[3]}, {'ZADD', KEYS[5]}, {'HSET', KEYS[6]},
  {'ZREM', KEYS[5]}, {'HDEL', KEYS[6]}, {'XTRIM', KEYS[4]}, {'HSET', KEYS[1]},
}
if ARGV[1] == 'prove' then return forbidden(WRITES) or forbidden({{'XSETID', KEYS[4]}}) or {'allowed'} end

local FORMAT = tonumber(ARGV[1])
local WRITES_AT = 13
-- So many entries are looked at for what has changed since the decision; a writer that is further behind decides again.
local LATER_MAX = 20

local head = headOf(KEYS[1])
local format = head.format
if format and format > FORMAT then return {'newer', head.formatText} end
local damage = damageOf(head, KEYS[2], KEYS[4])
if damage then return {'damaged', damage} end
if head.epoch == '' then
  if ARGV[5] ~= '' then return {'regressed', '', '0', ''} end
  head = {epoch = ARGV[2], seq = 0, mark = '', first = 1, count = 0}
end
local epoch, seq, mark, first = head.epoch, head.seq, head.mark, head.first
local known = tonumber(ARGV[6])
-- A key of another type fails here, where nothing is written yet.
redis.call('HLEN', KEYS[3])
redis.call('ZCARD', KEYS[5])
redis.call('HLEN', KEYS[6])

-- Is what was decided on a part of this history?
if ARGV[5] ~= '' then
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
  -- The index may be junk; the entry itself says whose it is.
  if entry and entry.request == ARGV[4] then return {'repeated', entry.entry or '', earlier, entry.mark or ''} end
end

-- Every expectation is looked at before anything is written.
local writes = tonumber(ARGV[12])
-- What is there: documents as text, the revisions that new ones must be above, and whether there is anything.
local before, revisions, isThere = {}, {}, {}
-- Keys of documents that are not as they were read although no commit has changed them: another program has.
local foreign = {}

-- Whether a text, which begins with this revision and format, is a document as it is written below; `name` is its key as JSON,
-- where it is known. cjson refuses halves of surrogate pairs, which JSON may escape, so no escape is shown to it. Of a member that
-- is there twice it reads the last, as readers do.
local function isDocument(text, key, name, revision, form)
  local function plain(json) return (string.gsub(string.gsub(json, '\\\\', 'xx'), '\\u%x%x%x%x', 'x')) end
  local isJson, value = pcall(cjson.decode, plain(text))
  if not isJson or type(value) ~= 'table' or value.revision ~= revision or value.format ~= form then return false end
  if not name then return value.key == key and string.find(text, ',"body":{', 1, true) ~= nil end
  if value.key ~= cjson.decode('[' .. plain(name) .. ']')[1] or type(value.body) ~= 'table' then return false end
  local begins = '{"revision":' .. int(revision) .. ',"format":' .. int(form) .. ',"key":' .. name .. ',"body":{'
  return string.sub(text, 1, #begins) == begins
end

-- The revision of a document's text; nil where it is none of this store: no revision is above the seq, no format above that of the
-- head. It is looked at as a whole where it will stand in the entry (`name` is given), or is not expected to be one.
local function revisionIn(text, key, name, expected)
  local digits, formatDigits = string.match(text, '^{"revision":(%d+),"format":(%d+),')
  local revision, form = whole(digits), whole(formatDigits)
  if not (revision and form) or revision == 0 or revision > seq or form > FORMAT then return nil end
  if (name or expected == 0) and not isDocument(text, key, name, revision, form) then return nil end
  return revision
end

-- The subjects of the entries that are newer than what the change was decided on; nil where they cannot be told.
local isKnownLater, later = false, nil
local function changedSince()
  if isKnownLater then return later end
  isKnownLater = true
  if known + 1 < first or seq - known > LATER_MAX then return nil end
  local found = {}
  for at = known + 1, seq do
    local entry = redis.call('XRANGE', KEYS[4], int(at) .. '-0', int(at) .. '-0')[1]
    if not entry then return nil end
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'subject' then found[entry[2][i + 1]] = true end
    end
  end
  later = found
  return later
end

-- `name` is given for what is written: that stands in the entry, so it must be a document as a whole.
local function expect(key, expected, name)
  local isLarge = redis.call('HSTRLEN', KEYS[2], key) > DOCUMENT_BYTES_MAX
  local text = isLarge and '' or redis.call('HGET', KEYS[2], key)
  local actual = 0
  if text then actual = revisionIn(text, key, name, expected) end
  isThere[key] = text ~= false
  if actual == expected then
    before[key], revisions[key] = text, actual
    return nil
  end
  -- Revision 0: the writer has read that it is no document. It cannot stand in the entry, and its revision is not known.
  if not (expected == 0 and not actual) then
    if ARGV[5] == '' then
      if not actual then return {'damaged', 'the document ' .. key .. ' is not what was written'} end
      return {'conflict', key, int(expected), int(actual), int(seq)}
    end
    -- A race leaves an entry. Without one another program has changed the document, and the last version in the journal counts,
    -- which the writer knows.
    local changed = changedSince()
    if not changed or changed[key] then return {'conflict', key, int(expected), int(actual or 0), int(seq)} end
    foreign[#foreign + 1] = key
  end
  revisions[key] = seq
end
local argument = WRITES_AT
for _ = 1, writes do
  local expected = tonumber(ARGV[argument + 2])
  local fault = expect(ARGV[argument], expected, ARGV[argument + 1])
  if fault then return fault end
  if ARGV[argument + 3] == '' and expected == 0 and not isThere[ARGV[argument]] then return {'absent', ARGV[argument]} end
  argument = argument + 4
end
while argument < #ARGV do
  local fault = expect(ARGV[argument], tonumber(ARGV[argument + 1]))
  if fault then return fault end
  argument = argument + 2
end

-- The revision that a deleted document had; where that is junk, one that it cannot have had.
local function keptRevision(key)
  local text = redis.call('HGET', KEYS[3], key)
  local revision = whole(text or '0')
  return revision and revision <= seq and revision or seq
end

local id = int(seq + 1)
local count = head.count
local changes, subjects, after, kept = {}, {}, {}, {}
for i = 1, writes do
  local at = WRITES_AT + (i - 1) * 4
  local key, name, body = ARGV[at], ARGV[at + 1], ARGV[at + 3]
  if body == '' then
    -- An earlier life may have had higher ones, where an operator has restored an older state.
    kept[i] = int(math.max(keptRevision(key), revisions[key]))
    if isThere[key] then count = count - 1 end
  else
    local last = revisions[key]
    if not isThere[key] then last, count = math.max(last, keptRevision(key)), count + 1 end
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
local refused = appendFirst(KEYS[4], seq, function()
  redis.call('XADD', KEYS[4], id .. '-0', 'entry', entry, 'mark', ARGV[3], 'previous', mark, 'epoch', epoch,
    'request', ARGV[4], unpack(subjects))
end)
if refused then return refused end
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
if half then return half end
local reply = {'committed', entry, id, ARGV[3]}
for _, key in ipairs(foreign) do reply[#reply + 1] = key end
return reply
