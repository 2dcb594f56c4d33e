-- Writes something that changes nothing, where an entry is in the journal and the head confirms it: WAIT counts the replicas
-- that have what its own connection has written, and they take everything in order. To be sent together with it.
-- KEYS  1 meta, 2 journal
-- ARGV  1 seq, 2 mark of the entry
-- returns 1, or 0 where the journal has no such entry (any more)

local head = redis.call('HGET', KEYS[1], 'seq')
if not head or (tonumber(head) or 0) < tonumber(ARGV[1]) then return 0 end
local found = redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
for i = 1, found and #found[2] or 0, 2 do
  if found[2][i] == 'mark' and found[2][i + 1] == ARGV[2] then
    redis.call('HSET', KEYS[1], 'seq', head)
    return 1
  end
end
return 0
