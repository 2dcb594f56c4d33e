-- Takes a lease, or keeps it for longer.
-- KEYS  1 the lease
-- ARGV  1 owner, 2 time in milliseconds; 0 gives the lease back
-- returns 1 where the owner has it (or has given it back), 0 where somebody else has it

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
