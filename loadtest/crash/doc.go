//go:build linux

// Package crash kills the server again and again and judges what it comes back
// with.
//
// One round: start `weir serve` on the data directory of the round before; let
// a few dozen people join, hold, book, change and cancel at once, each of them
// noting what was answered; SIGKILL the server at a random moment, now and then
// while it still recovers; judge what is on disk (`weir verify`, `weir state`,
// `weir export bookings`); start it again, ask over HTTP what everybody has,
// repeat the requests that were never answered, and judge that.
//
// A person is driven by one goroutine, one request at a time, so what a person
// may have after a crash is what was acknowledged and, in full or not at all,
// the one request that was under way. The judge (Judge) is a pure function of
// the notes and of what was found, and is tested with planted faults.
//
// What the package does not show: SIGKILL leaves the page cache whole, so a
// missing fsync is not noticed here. The tests that make fsync fail, and the
// log's own tests that cut it at every byte, are for that. Nor does it say
// anything about speed.
package crash
