-- Stands before every script that asks where the store stands: its head is what meta says, and what it holds must agree.
-- All of this only reads.

-- No number that Bellwether gives comes near this one. Lua and JavaScript count exactly up to twice as much, so that what is
-- added to a number below it is exact, too.
local NUMBER_MAX = 4503599627370496

local function int(number) return string.format('%.0f', number) end

local function fieldsOf(streamEntry)
  local fields = {}
  for i = 1, #streamEntry[2], 2 do fields[streamEntry[2][i]] = streamEntry[2][i + 1] end
  return fields
end

-- The entry `seq` (as text) of a journal as a table of its fields, nil where there is none.
local function entryAt(journal, seq)
  local found = redis.call('XRANGE', journal, seq .. '-0', seq .. '-0')[1]
  return found and fieldsOf(found)
end

-- The number that a text is, nil where it is none that Bellwether writes.
local function whole(text)
  local number = text and string.match(text, '^%d+$') and tonumber(text)
  return number and number <= NUMBER_MAX and number or nil
end

-- What meta says. `epoch` is '' where the store was never filled.
local function headOf(meta)
  local fields = redis.call('HMGET', meta, 'format', 'epoch', 'seq', 'mark', 'first', 'count', 'supersedes')
  return {
    format = whole(fields[1] or '0'),
    formatText = fields[1] or '0',
    epoch = fields[2] or '',
    seq = whole(fields[3] or '0'),
    mark = fields[4] or '',
    first = whole(fields[5] or '1'),
    count = whole(fields[6] or '0'),
    supersedes = fields[7] or '',
  }
end

-- How a store disagrees with its head, nil where it does not. A script that was refused halfway has left such a store.
local function damageOf(head, documents, journal)
  if head.epoch == '' then
    if not head.format then return 'the head of the store is not what was written' end
    return redis.call('EXISTS', documents, journal) > 0 and 'documents or a journal without an epoch' or nil
  end
  local isWhole = head.format and head.seq and head.first and head.count and head.first <= head.seq + 1
  if not isWhole then return 'the head of the store is not what was written' end
  if redis.call('HLEN', documents) ~= head.count then return 'the documents are not all there' end
  local top = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', 1)[1]
  local last = top and tonumber(string.match(top[1], '^%d+')) or 0
  if last > head.seq then return 'the journal goes on after the head of the store: a write has ended halfway' end
  local isThere = last == head.seq and top and fieldsOf(top).mark == head.mark
  if head.seq >= head.first and not isThere then return 'the journal is not all there' end
  return nil
end

-- The highest id that a journal has ever had, 0 where there is none.
local function lastIdOf(journal)
  if redis.call('EXISTS', journal) == 0 then return 0 end
  local stream = redis.call('XINFO', 'STREAM', journal)
  for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' then return tonumber(string.match(stream[i + 1], '^%d+')) end
  end
  return 0
end

-- A number so far above the others of a store is none of its seqs but, such as the time of now, one of another program.
local JUMP_MAX = 1000000

-- The highest seq of the entries that a Bellwether has written, 0 where there is none: those of other programs have no mark.
local function highestOwn(journal)
  local to = '+'
  while true do
    local step = redis.call('XREVRANGE', journal, to, '-', 'COUNT', 10)
    for _, found in ipairs(step) do
      local seq = whole(string.match(found[1], '^(%d+)%-0$'))
      if seq and (fieldsOf(found).mark or '') ~= '' then return seq end
      to = '(' .. found[1]
    end
    if #step < 10 then return 0 end
  end
end

-- The seq that a damaged store stands at: nothing that a Bellwether has written to it is above it.
local function highestSeq(head, journal)
  local own, seq, last = highestOwn(journal), head.seq or 0, lastIdOf(journal)
  if own > 0 and seq > own + JUMP_MAX then seq = 0 end
  local highest = math.max(own, seq)
  -- Entries may have been taken away, and their seqs must not be given again.
  return last <= highest + JUMP_MAX and math.max(highest, last) or highest
end
