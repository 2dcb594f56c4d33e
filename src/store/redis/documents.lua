-- Documents, so many that they are within a number of bytes; one that is too large does not cross the network, nor is it copied.
-- KEYS  1 documents
-- ARGV  1 bytes at most; the first document is given whatever its size; then the keys of documents: at most 7,000, which Lua's
--         stack takes
-- returns for each key from the first one on, as far as the bytes reach: the document's text; or a number, its size, where that is
--         too large; or nothing where there is none (any more)

local sizes, wanted, bytes = {}, {}, 0
for i = 2, #ARGV do
  local size = redis.call('HSTRLEN', KEYS[1], ARGV[i])
  if size <= DOCUMENT_BYTES_MAX then
    bytes = bytes + size
    if bytes > tonumber(ARGV[1]) and i > 2 then break end
    wanted[#wanted + 1] = ARGV[i]
  end
  sizes[i - 1] = size
end
local texts = #wanted > 0 and redis.call('HMGET', KEYS[1], unpack(wanted)) or {}
if #texts == #sizes then return texts end
local reply, at = {}, 0
for i, size in ipairs(sizes) do
  if size > DOCUMENT_BYTES_MAX then
    reply[i] = size
  else
    at = at + 1
    reply[i] = texts[at]
  end
end
return reply
