-- Stands before the scripts that append to the journal, after rights.lua and standing.lua.

-- Sets the last id of a stream, below which nothing can be appended, back to `seq`; the stream must have no entry above it.
local function setLastId(journal, seq)
  local id = int(seq) .. '-0'
  local reply = redis.pcall('XSETID', journal, id)
  -- Newer servers remember the highest id that was deleted, too.
  if type(reply) == 'table' and reply.err then
    redis.call('XSETID', journal, id, 'ENTRIESADDED', redis.call('XLEN', journal), 'MAXDELETEDID', id)
  end
end

-- Appends the first entry of a script by `appending`. Another program may have moved the last id above the seq of the store and
-- taken its entry away again; then the last id is set back first. The store was found to agree with its head, so it has no entry
-- above `seq`.
-- returns nil, or what the script must return; throws what Redis refuses, and then nothing is written
local function appendFirst(journal, seq, appending)
  local done, fault = pcall(appending)
  if done then return nil end
  local text = type(fault) == 'table' and fault.err or tostring(fault)
  local isOverrun = string.find(text, 'equal or smaller', 1, true) or string.find(text, 'last possible ID', 1, true)
  if not isOverrun then error(fault, 0) end
  local missing = forbidden({{'XSETID', journal}})
  if missing then return missing end
  setLastId(journal, seq)
  appending()
  return nil
end
