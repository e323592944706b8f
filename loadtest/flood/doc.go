//go:build linux

// Package flood holds all connections that a server can have and looks whether
// people still get their bookings.
//
// The server is `weir serve` as a process of its own, with its own limit of open
// files (RLIMIT_NOFILE) and told to take more connections than that: its bound
// is what descriptors leave it. The attackers are processes of their own too,
// since each of them may open no more files than the server, and come from
// addresses of their own in 127.0.0.0/8. They open connections as fast as they
// are told and again when they lose one, in the ways of Kind: silent, idle after
// an answer, a byte now and then, half a request, the same in a form that takes
// a goroutine, and callers who read nothing of what they asked for.
//
// Beside them are people with passes: some keep one connection and move their
// booking about, others connect anew for each booking; and strangers, who look
// at the campaigns. A run has four parts:
//
//  1. Calm: people book, nobody else is there.
//  2. Flood: the attackers fill the server and keep it full.
//  3. Drought: the server's limit of open files is lowered beneath what it has
//     open (prlimit), so that accept fails with EMFILE.
//  4. Ebb: the attackers go. The server has to be as before within EbbMax.
//
// Report.Faults tells what was not kept of: the server lives; no connection of a
// person is closed; each booking is answered within AnswerMax of the first try;
// each attacker is cut off at the deadline; whoever connects is answered or
// closed, not left hanging; memory stays bounded; nothing acknowledged is lost.
//
// What it does not show: callers behind a slow network, whose packets are lost;
// a kernel that runs out of memory or of ports; attackers who have passes.
package flood
