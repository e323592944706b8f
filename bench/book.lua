-- Books a place for a person, as one step: Redis runs nothing else meanwhile,
-- and logs what the script wrote as one transaction.
--
-- KEYS[1]  the person's booking, KEYS[2]  how many places the slot has left
-- ARGV[1]  the slot
-- Returns 0 booked, 1 the person holds a booking already, 2 the slot is full.
--
-- It writes first and takes back: two commands for a booking that succeeds.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then
  return 1
end
if redis.call('DECR', KEYS[2]) < 0 then
  redis.call('INCR', KEYS[2])
  redis.call('DEL', KEYS[1])
  return 2
end
return 0
