-- Journal entries by their seqs.
-- KEYS  1 journal, 2 meta
-- ARGV  seqs
-- returns for each seq the entry as JSON, or false where none is kept, or where the head of the store does not confirm it

local head = tonumber(redis.call('HGET', KEYS[2], 'seq') or '0') or 0
local entries = {}
for i, seq in ipairs(ARGV) do
  local found = tonumber(seq) <= head and redis.call('XRANGE', KEYS[1], seq .. '-0', seq .. '-0')[1]
  entries[i] = false
  for j = 1, found and #found[2] or 0, 2 do
    if found[2][j] == 'entry' then entries[i] = found[2][j + 1] end
  end
end
return entries
