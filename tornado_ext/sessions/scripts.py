"""The Lua scripts of `RedisStore`. Each has one key, and times in milliseconds."""

LEASE_LOST, TOO_LARGE, GONE = -2, -1, 0  # what SAVE returns in place of a list
ANY, MISSING = "any", "missing"  # what BURY is to bury

NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# ARGV: ttl, then field, value, ...
CREATE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""

# ARGV: ttl, when seen, fence or '', limits of bytes and of keys, number of fields to delete, these,
# then field, value, ... Returns the fields that were deleted, or a number. The fields that are no
# values are made, seen, size and, after the first lease, fence, leased and lent.
SAVE = (
    """
local size = tonumber(redis.call('HGET', KEYS[1], 'size') or -1)
if size < 0 then return 0 end
if ARGV[3] ~= '' then
  local held = redis.call('HMGET', KEYS[1], 'fence', 'leased')
  """
    + NOW
    + """
  if held[1] ~= ARGV[3] or tonumber(held[2]) <= now then return -2 end
end
local first, added, gone = 7 + ARGV[6], 0, {}
for i = 7, first - 1 do
  local length = redis.call('HSTRLEN', KEYS[1], ARGV[i])
  if length > 0 then
    size, added, gone[#gone + 1] = size - length - #ARGV[i] + 1, added - 1, ARGV[i]
  end
end
for i = first, #ARGV, 2 do
  local length = redis.call('HSTRLEN', KEYS[1], ARGV[i])
  if length == 0 then size, added = size + #ARGV[i] - 1, added + 1 end
  size = size - length + #ARGV[i + 1]
end
if first < #ARGV then
  local keys = redis.call('HLEN', KEYS[1]) - 3 - 3 * redis.call('HEXISTS', KEYS[1], 'fence')
  if size > tonumber(ARGV[4]) or keys + added > tonumber(ARGV[5]) then return -1 end
end
for _, name in ipairs(gone) do redis.call('HDEL', KEYS[1], name) end
for i = first, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'seen', ARGV[2], 'size', size)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return gone
"""
)

# ARGV: how long a tombstone stays; 0 leaves none. Returns what was there.
DELETE = """
local held = redis.call('HGETALL', KEYS[1])
if redis.call('HEXISTS', KEYS[1], 'made') == 1 then
  if ARGV[1] == '0' then
    redis.call('DEL', KEYS[1])
  else
    redis.call('HDEL', KEYS[1], 'made', 'seen', 'size')
    redis.call('HSET', KEYS[1], 'replaced', '1')
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
  end
end
return held
"""

# ARGV: for how long. Returns the fence, or 0. A lease that has more left than it was lent for is of
# a clock that was put back.
LEASE = (
    NOW
    + """
if redis.call('HEXISTS', KEYS[1], 'made') == 0 then return 0 end
local held = redis.call('HMGET', KEYS[1], 'leased', 'lent')
local left = tonumber(held[1] or 0) - now
if left > 0 and left <= tonumber(held[2] or 0) then return 0 end
redis.call('HSET', KEYS[1], 'leased', now + ARGV[1], 'lent', ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'fence', 1)
"""
)

# ARGV: fence
RELEASE = """
if redis.call('HGET', KEYS[1], 'fence') == ARGV[1] then redis.call('HSET', KEYS[1], 'leased', 0) end
"""

# KEYS: a user's index. ARGV: session, how long it may live, how long one has to be in the index to
# be settled. Returns some that are.
ENTER = (
    NOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
local settled = {}
for _, session in ipairs(redis.call('ZRANDMEMBER', KEYS[1], 4)) do
  if now - redis.call('ZSCORE', KEYS[1], session) > tonumber(ARGV[3]) then
    settled[#settled + 1] = session
  end
end
return settled
"""
)

# ARGV: how long the tombstone stays, whether to leave it where there is 'any' or a 'missing'
# record. Returns whether it ended a record.
BURY = """
if ARGV[2] == 'missing' and redis.call('EXISTS', KEYS[1]) == 1 then return -1 end
local ended = redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HEXISTS', KEYS[1], 'made')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'revoked', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return ended or 0
"""
