-- Stands before every script that writes with more than one command. Redis checks the rights of the user at every call, so a
-- script that is refused in the middle would leave half of its work; this proves every write allowed before the first one.

-- What each command is asked with: it changes nothing, whatever the key holds. The second value is the error that it then has.
local HARMLESS = {
  HDEL = {{''}},
  HSET = {{'a', 'b', 'c'}, 'wrong number of arguments'},
  XADD = {{'0-0', 'a', 'b'}, 'must be greater than 0%-0'},
  XDEL = {{'0-0'}},
  XSETID = {{'-'}, 'Invalid stream ID'},
  XTRIM = {{'MINID', '=', '0-0'}},
  ZADD = {{'XX', '0', ''}},
  ZREM = {{''}},
}

-- `commands` is a list of {command, key}, its first one XADD or HSET: they are refused, too, where memory is full.
-- returns nil where the user may run all of them, else what the script must return: {'forbidden', command, key}, or an error
local function forbidden(commands)
  for _, one in ipairs(commands) do
    local command, key = one[1], one[2]
    local arguments, expected = HARMLESS[command][1], HARMLESS[command][2]
    if redis.acl_check_cmd then
      -- An error: this Redis does not have the command.
      local known, allowed = pcall(redis.acl_check_cmd, command, key, unpack(arguments))
      if not known or not allowed then return {'forbidden', command, key} end
    else
      -- Redis before 7.0 can only be asked by trying. The type of a key is looked at elsewhere, with other words.
      local reply = redis.pcall(command, key, unpack(arguments))
      local fault = type(reply) == 'table' and reply.err
      if fault and string.find(fault, 'user executing the script', 1, true) then return {'forbidden', command, key} end
      local isExpected = not fault or string.find(fault, 'WRONGTYPE', 1, true) or string.find(fault, 'no such key', 1, true)
        or (expected and string.find(fault, expected))
      if not isExpected then return reply end
    end
  end
  return nil
end

-- Runs what is left of a script after its first write. Nothing in it should fail; what does all the same is told as what it is.
-- returns nil, or {'halfway', why}
local function finish(writing)
  local done, fault = pcall(writing)
  if done then return nil end
  return {'halfway', type(fault) == 'table' and fault.err or tostring(fault)}
end
