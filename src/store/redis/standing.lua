-- Stands before every script that asks where the store stands: its head is what meta says, and what it holds must agree.
-- All of this only reads.

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

local function whole(text) return text and string.match(text, '^%d+$') and tonumber(text) end

-- What meta says. `epoch` is '' where the store was never filled.
local function headOf(meta)
  local fields = redis.call('HMGET', meta, 'format', 'epoch', 'seq', 'mark', 'first', 'count', 'supersedes')
  return {
    format = fields[1] or '0',
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
    return redis.call('EXISTS', documents, journal) > 0 and 'documents or a journal without an epoch' or nil
  end
  if not (head.seq and head.first and head.count) then return 'the head of the store is not what was written' end
  if redis.call('HLEN', documents) ~= head.count then return 'the documents are not all there' end
  local top = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', 1)[1]
  local last = top and tonumber(string.match(top[1], '^%d+')) or 0
  if last > head.seq then return 'the journal goes on after the head of the store: a write has ended halfway' end
  local isThere = last == head.seq and top and fieldsOf(top).mark == head.mark
  if head.seq >= head.first and not isThere then return 'the journal is not all there' end
  return nil
end

-- The seq that a damaged store stands at: nothing it has ever held is above it.
local function highestSeq(head, journal)
  local seq = head.seq or 0
  if redis.call('EXISTS', journal) == 0 then return seq end
  local stream = redis.call('XINFO', 'STREAM', journal)
  for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' then seq = math.max(seq, tonumber(string.match(stream[i + 1], '^%d+'))) end
  end
  return seq
end
