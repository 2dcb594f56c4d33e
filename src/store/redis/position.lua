-- Where the store stands, and whether a known position is in its history.
-- KEYS  1 meta, 2 journal, 3 documents
-- ARGV  1 format of this build, 2-4 known position: epoch ('' for none), seq, mark;
--       5 epoch to begin a store with that was never filled ('' to leave it so)
-- returns {verdict, epoch, seq, mark, first, what}; verdict is 'same' (what is known, if anything, is in the history),
--         'trimmed' (its entry is kept no more), 'superseded' (an operator has replaced its epoch), 'regressed',
--         'newer' (`what` is the format) or 'damaged' (`what` says how, and start-epoch.lua can write over it)

local FORMAT = tonumber(ARGV[1])
local head = headOf(KEYS[1])
if head.format and head.format > FORMAT then return {'newer', head.epoch, '0', head.mark, '1', head.formatText} end
local damage = damageOf(head, KEYS[3], KEYS[2])
if damage then return {'damaged', head.epoch, int(highestSeq(head, KEYS[2])), head.mark, '1', damage} end

if head.epoch == '' then
  if ARGV[2] == '' and ARGV[5] ~= '' then
    redis.call('HSET', KEYS[1], 'format', ARGV[1], 'epoch', ARGV[5], 'seq', '0', 'mark', '', 'first', '1', 'count', '0')
    return {'same', ARGV[5], '0', '', '1', ''}
  end
  return {ARGV[2] == '' and 'same' or 'regressed', '', '0', '', '1', ''}
end

local function markOf(at)
  local entry = entryAt(KEYS[2], at)
  return entry and entry.mark
end

local function verdict()
  if ARGV[2] == '' then return 'same' end
  for old in string.gmatch(head.supersedes, '%S+') do
    if old == ARGV[2] and old ~= head.epoch then return 'superseded' end
  end
  local known = tonumber(ARGV[3])
  if ARGV[2] ~= head.epoch or known > head.seq then return 'regressed' end
  if known == head.seq then return ARGV[4] == head.mark and 'same' or 'regressed' end
  if known == 0 and ARGV[4] ~= '' then return 'regressed' end
  if known < head.first then return known + 1 < head.first and 'trimmed' or 'same' end
  return markOf(ARGV[3]) == ARGV[4] and 'same' or 'regressed'
end

return {verdict(), head.epoch, int(head.seq), head.mark, int(head.first), ''}
