-- Where the store stands, and whether a known position is in its history.
-- KEYS  1 meta, 2 journal, 3 documents
-- ARGV  1 format of this build, 2-4 known position: epoch ('' for none), seq, mark;
--       5 epoch to begin a store with that was never filled ('' to leave it so)
-- returns {verdict, epoch, seq, mark, first, what}; verdict is 'same' (what is known, if anything, is in the history),
--         'trimmed' (its entry is kept no more), 'superseded' (an operator has replaced its epoch), 'regressed',
--         'newer' (`what` is the format) or 'damaged' (`what` says how)

local meta = redis.call('HMGET', KEYS[1], 'format', 'epoch', 'seq', 'mark', 'first', 'supersedes', 'count')
local epoch, seq, mark, first = meta[2], meta[3], meta[4], meta[5]
if not epoch then
  if redis.call('EXISTS', KEYS[3], KEYS[2]) > 0 then
    return {'damaged', '', '0', '', '1', 'documents or a journal without an epoch'}
  end
  if ARGV[2] == '' and ARGV[5] ~= '' then
    redis.call('HSET', KEYS[1], 'format', ARGV[1], 'epoch', ARGV[5], 'seq', '0', 'mark', '', 'first', '1', 'count', '0')
    return {'same', ARGV[5], '0', '', '1', ''}
  end
  return {ARGV[2] == '' and 'same' or 'regressed', '', '0', '', '1', ''}
end

local function markOf(at)
  local found = redis.call('XRANGE', KEYS[2], at .. '-0', at .. '-0')[1]
  for i = 1, found and #found[2] or 0, 2 do
    if found[2][i] == 'mark' then return found[2][i + 1] end
  end
end

local function verdict()
  if tonumber(meta[1]) > tonumber(ARGV[1]) then return 'newer', meta[1] end
  if redis.call('HLEN', KEYS[3]) ~= tonumber(meta[7]) then return 'damaged', 'the documents are not all there' end
  if tonumber(seq) >= tonumber(first) and markOf(seq) ~= mark then return 'damaged', 'the journal is not all there' end
  if ARGV[2] == '' then return 'same' end
  for old in string.gmatch(meta[6] or '', '%S+') do
    if old == ARGV[2] then return 'superseded' end
  end
  local known = tonumber(ARGV[3])
  if ARGV[2] ~= epoch or known > tonumber(seq) then return 'regressed' end
  if known == tonumber(seq) then return ARGV[4] == mark and 'same' or 'regressed' end
  if known == 0 and ARGV[4] ~= '' then return 'regressed' end
  if known < tonumber(first) then return known + 1 < tonumber(first) and 'trimmed' or 'same' end
  return markOf(ARGV[3]) == ARGV[4] and 'same' or 'regressed'
end

local is, what = verdict()
return {is, epoch, seq, mark, first, what or ''}
