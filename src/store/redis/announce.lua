-- Keeps or reads what replicas tell of themselves. Times are those of Redis, so that no replica's clock counts.
-- Put after rights.lua.
-- KEYS  1 announcements, 2 the times at which they end
-- ARGV  'prove' to be told only whether the user may do all this; or most ids to read, most bytes of an id or body;
--       or id, body, time in milliseconds
-- returns id, body, id, body … of all whose time is not over (a body that is missing or too large is ''), nothing after a write
--       | {'forbidden', command, key} | {'allowed'}

local WRITES = {{'HSET', KEYS[1]}, {'ZADD', KEYS[2]}, {'ZREM', KEYS[2]}, {'HDEL', KEYS[1]}}
if ARGV[1] == 'prove' then return forbidden(WRITES) or {'allowed'} end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if #ARGV == 3 then
  -- Both keys are looked at before either is written: one of another type fails here.
  redis.call('HLEN', KEYS[1])
  local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)
  local missing = forbidden(WRITES)
  if missing then return missing end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
  for _, id in ipairs(ended) do
    if id ~= ARGV[1] then
      redis.call('ZREM', KEYS[2], id)
      redis.call('HDEL', KEYS[1], id)
    end
  end
  return {}
end
-- Reading writes nothing, so that a Redis that refuses writes still says who is there.
local idsMax, bytesMax = tonumber(ARGV[1]), tonumber(ARGV[2])
local living = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'LIMIT', 0, idsMax)) do
  -- Asked before it is read: another program can have put anything there.
  local isRead = #id <= bytesMax and redis.call('HSTRLEN', KEYS[1], id) <= bytesMax
  living[#living + 1] = string.sub(id, 1, bytesMax)
  living[#living + 1] = isRead and redis.call('HGET', KEYS[1], id) or ''
end
return living
