-- Takes a lease, or keeps it for longer.
-- KEYS  1 the lease
-- ARGV  1 owner, 2 time in milliseconds; 0 gives the lease back
-- returns 1 where the owner has it (or has given it back), 0 where somebody else has it

-- No lease lasts so many times as long as it is asked for.
local TIMES_MAX = 100

-- Whether what is there is no lease of a Bellwether: it has another type, no end, or one that is too far away. Without the right to
-- ask for the end it is one.
local function isForeign(owner)
  if type(owner) == 'table' then return string.find(owner.err, 'WRONGTYPE', 1, true) ~= nil end
  local left = redis.pcall('PTTL', KEYS[1])
  return type(left) == 'number' and (left == -1 or left > tonumber(ARGV[2]) * TIMES_MAX)
end

local owner = redis.pcall('GET', KEYS[1])
local isTaken = owner and owner ~= ARGV[1]
if isTaken and (ARGV[2] == '0' or not isForeign(owner)) then return type(owner) == 'table' and owner or 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
