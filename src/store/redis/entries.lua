-- Journal entries, so many that they are within a number of bytes: what does not fit does not cross the network.
-- KEYS  1 journal, 2 meta
-- ARGV  1 'whole', or 'head' for the text of each entry up to the mark (2) only,
--       2 what the changes in an entry's text begin with,
--       3 bytes of whole entries at most, 4 entries at most; the first entry is given whatever its size unless 5 is '0',
--       6 'back' | 'on' | 'at', then
--         back: 7 the seq before which to begin, newest first
--         on:   7 the seq after which to begin, 8 the last seq, oldest first
--         at:   7 … seqs, in this order; those that are not kept are left out
-- returns whether there is more ('1' or '0'), the format of the store, then for each entry: seq, bytes, text, mark, mark of the entry before, epoch

local WHAT, MARK, BYTES, COUNT, HOW = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6]
local place = ARGV[7]
local at = 7

-- What is above the head was written by nobody to its end, and is not given.
local meta = redis.call('HMGET', KEYS[2], 'seq', 'format')
local head = tonumber(meta[1] or '0') or 0

local function nextEntry()
  if HOW == 'back' then
    if tonumber(place) > head + 1 then place = string.format('%.0f', head + 1) end
    return redis.call('XREVRANGE', KEYS[1], '(' .. place .. '-0', '-', 'COUNT', 1)[1]
  end
  if HOW == 'on' then
    local last = string.format('%.0f', math.min(head, tonumber(ARGV[8])))
    return redis.call('XRANGE', KEYS[1], '(' .. place .. '-0', last .. '-0', 'COUNT', 1)[1]
  end
  while at <= #ARGV do
    local seq = ARGV[at]
    at = at + 1
    local found = (tonumber(seq) or math.huge) <= head and redis.call('XRANGE', KEYS[1], seq .. '-0', seq .. '-0')[1]
    if found then return found end
  end
  return nil
end

local reply, count, bytes = {'0', meta[2] or '0'}, 0, 0
while true do
  local found = nextEntry()
  if not found then return reply end
  local fields = {}
  for i = 1, #found[2], 2 do fields[found[2][i]] = found[2][i + 1] end
  local text = fields.entry or ''
  -- One that is too large is given without its text, and holds no place.
  local size = #text
  if size > ENTRY_BYTES_MAX then text = '' end
  local fits = bytes + #text <= BYTES or (count == 0 and ARGV[5] ~= '0')
  if count == COUNT or not fits then
    reply[1] = '1'
    return reply
  end
  count, bytes = count + 1, bytes + #text
  place = string.match(found[1], '^%d+')
  local shown = text
  if WHAT == 'head' then
    local ends = string.find(text, MARK, 1, true)
    if ends then shown = string.sub(text, 1, ends - 1) end
  end
  for _, part in ipairs({place, tostring(size), shown, fields.mark or '', fields.previous or '', fields.epoch or ''}) do
    reply[#reply + 1] = part
  end
end
