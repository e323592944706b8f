// Package core is the booking core: the rules and the state of campaigns, in
// memory, with every change handed to a journal. It opens no file and no
// socket and has no clock: time comes in with each call.
//
// # The life of a booking
//
//  1. The front end turns a request into a Command by value and calls
//     Engine.Do with the one reading of the clock that this request gets.
//  2. Do reserves room for a record in the journal. A full journal refuses
//     here, before any lock and before any work (ErrOverloaded, ErrReadOnly).
//  3. Do locks the person's shard. Under it nobody else changes this person's
//     place, hold or bookings, and no new definition takes effect.
//  4. The decision is made from the person's rows, the definition in force and
//     the time (decide.go). It is a pure function that either refuses, or finds
//     that all is so already, or writes the record that would make it so.
//  5. Do locks the shards of the slots that the record touches, always after
//     the person's and in ascending order, and refuses where no place is left.
//  6. The record is appended to the journal, which gives it its sequence
//     number, and applied to the state (apply.go), both under the locks. So
//     records of one slot, and of one person, stand in the log in the order in
//     which they took effect, and every prefix of the log is a valid state.
//  7. The locks go. The caller waits for the sequence number to be durable
//     (Engine.Wait) and only then tells anybody.
//  8. After a crash the log's records go through the same apply code, in the
//     log's order, into an empty engine. No rule is asked again.
//
// A hold goes the same way; its end at its time is a record too, made by
// Engine.Sweep, a bounded number a call.
//
// # The life of a place in line
//
//  1. Somebody joins (Join). Who may book now gets the next number, for good
//     (Joined). Who is early for an opening gets an index in its draw instead
//     (Entered), or the next number where the campaign goes by arrival.
//  2. A draw is opened before its first index is given (Engine.OpenDraw), by a
//     record that commits to a seed without telling it. The seed is known to
//     the caller alone.
//  3. When the opening has come (LineState.DueDraws), Engine.Draw logs the
//     seed. That one record gives all who entered their numbers, which follow
//     on those given before: no row is touched, and anybody can recompute
//     anybody's number from what is public then (DrawnNumber).
//  4. Engine.Serve raises the serving mark, as far as its caller finds that
//     more people can be let in. It never falls, so a turn that has come stays.
//  5. Every hold, booking and change asks, under the person's lock, whether
//     their number is at or below the mark, and is refused with NotYourTurn
//     where it is not. Whatever somebody was handed on the way here, this is
//     what decides.
//  6. A place ends when it is given up (Leave), never otherwise: not by being
//     called and not coming, by booking, by a pause, a restart or a new
//     definition.
//
// Pausing (Engine.Pause) stops 4 and 5 and lets the time of holds stand still.
// These records change a whole campaign, so they are made with all shards of
// its people locked, as a new definition is (steer.go).
//
// # Rejected
//
// One goroutine that owns the state and takes commands from a queue needs no
// locks, but costs two hand-overs a command; measured against two uncontended
// locks that is several times as much. Counting places with compare-and-swap
// alone would save the slot's lock, but then the log's order of a slot's
// records is no longer the order in which they took effect, and no page of
// slots could be copied with the sequence number that it is true at.
//
// # Not protected against
//
// The engine believes the Command: that the person is who they say, and born
// when it says, was checked in front of it. It does not protect against a
// journal that loses what it called durable. It cannot tell whether a seed was
// kept secret until its draw, nor draw without it: whoever loses the seeds
// keeps those who entered waiting.
package core
