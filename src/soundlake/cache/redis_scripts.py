"""Lua scripts for Redis; each one is atomic."""

# Counts the events of one short window. Counts and marks of counted events are written together, so that the same call can be repeated
# after a lost connection or a killed writer. If memory is full, the first SADD fails and nothing is counted.
#
# Marks and listeners are 64-bit hashes in many small sets: Redis stores a set of up to 512 integers as a sorted array of 8 bytes each
# (set-max-intset-entries), a larger one as a table of some 70. They are passed as text: Lua's numbers would lose the last digits.
RECORD = """
local short_until, top_until, until_s, events = ARGV[1], ARGV[2], ARGV[3], cmsgpack.unpack(ARGV[4])
local seen, short, minute = KEYS[1], KEYS[2], KEYS[3]
local fields, tracks, names, ends, listeners = {}, {}, {}, {}, {[short] = 0, [minute] = 0}
local function is_new(set, parts, member, ends_at)
    local part = set .. ':' .. tonumber(string.sub(member, -5)) % parts
    if redis.call('SADD', part, member) == 0 then return false end
    ends[part] = ends_at
    return true
end
for _, event in ipairs(events) do
    local mark, count, user, is_listen, device, country, track, name = unpack(event)
    if is_new(seen, 500, mark, until_s) then
        fields[count] = (fields[count] or 0) + 1
        if is_new(short .. ':listeners', 500, user, short_until) then listeners[short] = listeners[short] + 1 end
        if is_new(minute .. ':listeners', 2000, user, until_s) then listeners[minute] = listeners[minute] + 1 end
        if is_listen then
            fields['plays'] = (fields['plays'] or 0) + 1
            fields['device:' .. device] = (fields['device:' .. device] or 0) + 1
            fields['country:' .. country] = (fields['country:' .. country] or 0) + 1
            if track ~= '' then
                tracks[track] = (tracks[track] or 0) + 1
                if name ~= '' then names[track] = name end
            end
        end
    end
end
for _, window in ipairs({short, minute}) do
    for field, count in pairs(fields) do redis.call('HINCRBY', window, field, count) end
    if listeners[window] > 0 then redis.call('HINCRBY', window, 'listeners', listeners[window]) end
    ends[window] = window == short and short_until or until_s
end
for track, count in pairs(tracks) do redis.call('ZINCRBY', minute .. ':tracks', count, track) end
for track, name in pairs(names) do redis.call('HSET', minute .. ':names', track, name) end
ends[minute .. ':tracks'], ends[minute .. ':names'] = top_until, top_until
for key, ends_at in pairs(ends) do redis.call('EXPIREAT', key, ends_at) end
"""

# Adds up the tracks of several minutes. Returns all tracks above the last rank, and of those tied for it the first by id (Redis orders
# equal scores by bytes, as Python sorts text), so that the reply is short however many are tied.
TOP = """
local together, places = KEYS[1], tonumber(ARGV[1])
redis.call('ZUNIONSTORE', together, #KEYS - 1, unpack(KEYS, 2))
local last = redis.call('ZREVRANGE', together, places - 1, places - 1, 'WITHSCORES')[2] or '-inf'
local above = redis.call('ZRANGEBYSCORE', together, '(' .. last, '+inf', 'WITHSCORES')
local equal = redis.call('ZRANGEBYSCORE', together, last, last, 'WITHSCORES', 'LIMIT', 0, places)
redis.call('UNLINK', together)
return {above, equal}
"""
