"""The Lua scripts of `ShardedRedisStore`. docs/sharding.md says what each field is.

Those that write have KEYS[1], what they change, and in the further keys the marks against nodes
that are away; ARGV[1] is a ttl in milliseconds, ARGV[2] the key as marks name it, and ARGV[3] the
stamp of the write. Their own arguments follow.
"""

from tornado_ext.sessions.scripts import NOW

BUSY, FULL, LEASE_LOST, TOO_LARGE, GONE, MISSING, DONE = range(-5, 2)  # what they return

LISTED = 32  # deletions that a copy lists at least; older ones become its `purged`
_HEAD = """
local function mark(first)
  for i = first, #KEYS do
    redis.call('HSET', KEYS[i], ARGV[2], ARGV[3])
  end
end
"""

# KEYS: marks alone.
MARK = _HEAD + "mark(1)"

# KEYS: marks. ARGV: the key, and the stamp that was seen: a mark that was set anew stays.
UNMARK = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
"""

# ARGV: field, value, ... Makes a copy where there is nothing; returns -1 if there is a tombstone,
# and 0 if there is a copy that another write has made.
CREATE = (
    _HEAD
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('HEXISTS', KEYS[1], 'gone') == 1 then return -1 end
  if redis.call('HGET', KEYS[1], 'born') ~= ARGV[3] then return 0 end
else
  redis.call('HSET', KEYS[1], 'born', ARGV[3])
  for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
mark(2)
return 1
"""
)

# ARGV: when seen, fence or '', limits of bytes and of keys or 0, for how long deletions are listed
# or '', then field, text, ...; an empty text deletes. Of those that are there, only those change
# whose stamp is lower. Returns the highest stamp that they had, and the fields that it has deleted.
# The expiry never comes closer: the copy that a tombstone takes the place of is to be the one with
# the longest life.
SAVE = (
    _HEAD
    + NOW
    + """
local held = redis.call(
  'HMGET', KEYS[1], 'size', 'keys', 'gone', 'purged', 'seen', 'fence', 'until')
if held[3] then return -1 end
if not held[1] then return 0 end
if ARGV[5] ~= '' and (held[6] ~= ARGV[5] or tonumber(held[7]) <= now) then return -3 end
local size, keys, purged = tonumber(held[1]), tonumber(held[2]), held[4] or ''
local stamp, values, deleted, sets, highest = ARGV[3], {}, {}, false, ''
for i = 9, #ARGV, 2 do
  local name, text = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', KEYS[1], name)
  local last = old and old:sub(1, #stamp) or purged
  if last > highest then highest = last end
  if last < stamp then
    if old and #old > #stamp then
      size, keys = size - #name + 1 - #old + #stamp, keys - 1
      if text == '' then deleted[#deleted + 1] = name end
    end
    if text ~= '' then size, keys, sets = size + #name - 1 + #text, keys + 1, true end
    values[#values + 1] = name
    values[#values + 1] = stamp .. text
  end
end
local most = tonumber(ARGV[6])
if sets and most > 0 and (size > most or keys > tonumber(ARGV[7])) then return -2 end
if tonumber(ARGV[4]) > tonumber(held[5]) then held[5] = ARGV[4] end
redis.call('HSET', KEYS[1], 'seen', held[5], 'size', size, 'keys', keys)
for i = 1, #values, 2 do redis.call('HSET', KEYS[1], values[i], values[i + 1]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
mark(2)
if ARGV[8] ~= '' and redis.call('HLEN', KEYS[1]) - keys - 9 > LISTED then
  local all, old = redis.call('HGETALL', KEYS[1]), string.format('%014x', (now - ARGV[8]) * 1000)
  for i = 1, #all, 2 do
    if all[i]:sub(1, 1) == ':' and #all[i + 1] == #stamp and all[i + 1] < old then
      redis.call('HDEL', KEYS[1], all[i])
      if all[i + 1] > purged then purged = all[i + 1] end
    end
  end
  redis.call('HSET', KEYS[1], 'purged', purged)
end
table.insert(deleted, 1, highest)
return deleted
"""
).replace("LISTED", str(LISTED))

# ARGV: what the tombstone says, and whether it is for a 'live' copy, for what is 'missing', or for
# 'any'. Returns what became of it, and what was there. A full Redis that takes no tombstone lets go
# of the copy; after that, Redis 7.0 takes everything from a script.
BURY = (
    _HEAD
    + """
local kind = redis.call('TYPE', KEYS[1]).ok
local held, gone = {}, false
if kind == 'hash' or (kind ~= 'none' and ARGV[5] == 'live') then
  held = redis.call('HGETALL', KEYS[1])
  gone = redis.call('HGET', KEYS[1], 'gone')
end
if ARGV[5] == 'missing' and kind ~= 'none' then return {-1, held} end
if ARGV[5] == 'live' and #held == 0 then return {0, held} end
local ended, left = gone and -1 or (#held > 0 and 1 or 0), tonumber(ARGV[1])
if not gone then
  left = math.max(left, redis.call('PTTL', KEYS[1]))
  if ARGV[4]:sub(1, 8) ~= 'replaced' then redis.call('DEL', KEYS[1]) end
  local set = redis.pcall('HSET', KEYS[1], 'gone', ARGV[4])
  if type(set) == 'table' and set.err then
    redis.call('DEL', KEYS[1])
    ended = -4
  else
    redis.call('PEXPIRE', KEYS[1], left)
  end
end
mark(2)
return {ended, held}
"""
)

# ARGV: for how long, the fence, and whether to 'ask' or to 'repeat'. Returns the fence; -5 while
# another has it, 0 if there is no copy, -1 if there is a tombstone. A lease that has more left than
# it was lent for is of a clock that was put back.
LEASE = (
    _HEAD
    + NOW
    + """
local held = redis.call('HMGET', KEYS[1], 'size', 'gone', 'fence', 'until', 'lent')
if held[2] then return -1 end
if not held[1] then return 0 end
local fence, left = tonumber(held[3] or 0), tonumber(held[4] or 0) - now
local given = tonumber(ARGV[5])
if fence ~= given and left > 0 and left <= tonumber(held[5]) then return -5 end
if ARGV[6] == 'ask' then
  given = math.max(given, fence + 1)
elseif fence > given then
  return -5
end
given = string.format('%.0f', given)
redis.call('HSET', KEYS[1], 'fence', given, 'until', now + ARGV[4], 'lent', ARGV[4])
mark(2)
return tonumber(given)
"""
)

# ARGV: fence.
RELEASE = """
if redis.call('HGET', KEYS[1], 'fence') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', 0) end
"""

# KEYS: a user's index. ARGV: the session. Returns some that are in it, with when they entered.
ENTER = (
    _HEAD
    + NOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[4])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
mark(2)
local settled = {}
for _, session in ipairs(redis.call('ZRANDMEMBER', KEYS[1], 4)) do
  if now - redis.call('ZSCORE', KEYS[1], session) > tonumber(ARGV[5]) then
    settled[#settled + 1] = session
  end
end
return settled
"""
)

# Returns what is kept under each key, for MERGE: its kind, its ttl, and its fields or members.
READ = """
local kept = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local items = kind == 'zset' and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    or redis.call('HGETALL', key)
  kept[i] = {kind, redis.call('PTTL', key), items}
end
return kept
"""

# ARGV: for each key its kind, its ttl, the number of its items, and these, as READ has them.
# Returns, for each, -1 if a live copy met a tombstone, and 1 if not.
MERGE = """
local function prolong(key, left)
  if left > redis.call('PTTL', key) then redis.call('PEXPIRE', key, left) end
  return 1
end
local function merge_index(key, left, first, last)
  for i = first, last, 2 do redis.call('ZADD', key, 'GT', ARGV[i + 1], ARGV[i]) end
  return prolong(key, left)
end
local function merge_copy(key, left, first, last)
  local theirs, stamp = {}, 20
  for i = first, last, 2 do theirs[ARGV[i]] = ARGV[i + 1] end
  local held = redis.call('HMGET', key, 'size', 'keys', 'gone', 'purged', 'seen', 'fence')
  if held[3] and (not theirs.gone or held[3]:sub(1, 8) ~= 'replaced') then
    if theirs.gone then return prolong(key, left) end
    return -1
  end
  if theirs.gone or not held[1] then
    left = math.max(left, redis.call('PTTL', key))
    redis.call('DEL', key)
    for i = first, last, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
    redis.call('PEXPIRE', key, left)
    return 1
  end
  local size, keys = tonumber(held[1]), tonumber(held[2])
  local ours, purged = held[4] or '', theirs.purged
  local function count(name, value, sign)
    if value and #value > stamp then
      size, keys = size + sign * (#name - 1 + #value - stamp), keys + sign
    end
  end
  for name, value in pairs(theirs) do
    if name:sub(1, 1) == ':' then
      local old = redis.call('HGET', key, name)
      if (old or ours):sub(1, stamp) < value:sub(1, stamp) then
        count(name, old, -1)
        count(name, value, 1)
        redis.call('HSET', key, name, value)
      end
    end
  end
  if purged and purged > ours then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      local name, value = all[i], all[i + 1]
      if name:sub(1, 1) == ':' and not theirs[name] and value:sub(1, stamp) <= purged then
        count(name, value, -1)
        redis.call('HDEL', key, name)
      end
    end
    redis.call('HSET', key, 'purged', purged)
  end
  if theirs.fence and tonumber(theirs.fence) > tonumber(held[6] or 0) then
    redis.call('HSET', key, 'fence', theirs.fence, 'until', theirs['until'], 'lent', theirs.lent)
  end
  local seen = tonumber(theirs.seen or 0) > tonumber(held[5]) and theirs.seen or held[5]
  redis.call('HSET', key, 'seen', seen, 'size', size, 'keys', keys)
  return prolong(key, left)
end
local done, at = {}, 1
for i, key in ipairs(KEYS) do
  local first, last = at + 3, at + 2 + ARGV[at + 2]
  local merge = ARGV[at] == 'zset' and merge_index or merge_copy
  done[i] = merge(key, tonumber(ARGV[at + 1]), first, last)
  at = last + 1
end
return done
"""

# KEYS: the marker, the rings that processes have, then the marks against other nodes. ARGV: the
# ring of this process, '' if it is not to be heard of; for how long others are remembered. Returns
# the marker, the rings, and how many marks there are against each.
LOOK = (
    NOW
    + """
local full, told = 0, nil
if ARGV[1] ~= '' then
  told = redis.pcall('ZADD', KEYS[2], now, ARGV[1])
else
  told = redis.pcall('ZADD', KEYS[2], 'XX', now, '')  -- adds nothing, and is refused as the other
end
if type(told) == 'table' and told.err then
  if not told.err:find('used memory') then return told end
  full = 1
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2])
local marks = {}
for i = 3, #KEYS do marks[#marks + 1] = redis.call('HLEN', KEYS[i]) end
return {redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1), marks, full}
"""
)

# KEYS: how far a node was filled. ARGV: the plan of that, a node and the cursor that was reached.
# Returns whether it was noted: not if what it was filled with is lost.
FILLED = """
if redis.call('HGET', KEYS[1], 'plan') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1
"""

# KEYS: the marker, and how far a node was filled. ARGV: the plan of that, field, value, ... of the
# marker. Returns whether it was set: not if the node has lost what it was filled with.
VOUCH = """
if redis.call('HGET', KEYS[2], 'plan') ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('DEL', KEYS[2])
return 1
"""

# KEYS: a lock. ARGV: who wants it, for how long. Returns whether it is his.
CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
