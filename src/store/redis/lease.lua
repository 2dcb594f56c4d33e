-- Takes a lease, or keeps it for longer. What is there in its place that no replica has written, or that would not end, is taken over:
-- another program, or a person, has set it, and nobody would lead for as long as it is there.
-- KEYS  1 the lease
-- ARGV  1 owner, 2 time in milliseconds; 0 gives the lease back, 3 longest time that a lease can have, 4 most bytes of an owner
-- returns {'held'} where the owner has it (or has given it back), {'refused'} where somebody else has it
--       | {'taken_over', why, the first bytes of what was there}

local ownerBytesMax = tonumber(ARGV[4])

-- returns why `value` cannot be the lease of a replica, nil where it can
local function foreign(value)
  if type(value) == 'table' then return 'it is no text' end
  local name = string.match(value, '^([^/]*)/%x+$') or value
  if #value > ownerBytesMax or not string.find(name, '^%w[%w._-]*$') then return 'it names no replica' end
  -- A user without the right to ask takes over nothing here; see the warning missing_rights.
  local leftMs = redis.pcall('PTTL', KEYS[1])
  if leftMs == -1 then return 'it has no end' end
  if type(leftMs) == 'number' and leftMs > tonumber(ARGV[3]) then return 'its end is too far away' end
  return nil
end

local owner = redis.pcall('GET', KEYS[1])
if type(owner) == 'table' and not string.find(owner.err, 'WRONGTYPE', 1, true) then return owner end
local why = nil
if owner and owner ~= ARGV[1] then
  why = foreign(owner)
  if not why or ARGV[2] == '0' then return {'refused'} end
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
if why then return {'taken_over', why, type(owner) == 'string' and string.sub(owner, 1, ownerBytesMax) or ''} end
return {'held'}
