-- The pages keep room so that a slot's counter is updated within its page and
-- no index is touched (a heap-only tuple).
CREATE TABLE slots (
  slot     integer PRIMARY KEY,
  capacity integer NOT NULL,
  taken    integer NOT NULL DEFAULT 0 CHECK (taken BETWEEN 0 AND capacity)
) WITH (fillfactor = 50);

CREATE TABLE bookings (
  person uuid PRIMARY KEY,
  slot   integer NOT NULL
);

-- Books a place for a person. Returns 0 booked, 1 the person holds a booking
-- already, 2 the slot is full.
--
-- The slot's row is locked last, so that its lock is held no longer than the
-- commit takes.
CREATE FUNCTION book(who uuid, wanted integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bookings (person, slot) VALUES (who, wanted) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN 1;
  END IF;
  UPDATE slots SET taken = taken + 1 WHERE slot = wanted AND taken < capacity;
  IF NOT FOUND THEN
    DELETE FROM bookings WHERE person = who;
    RETURN 2;
  END IF;
  RETURN 0;
END $$;
