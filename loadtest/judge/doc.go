// Package judge holds what a crowd was told against what a server kept, and
// names every contradiction.
//
// It gets the files of answers (loadtest/answers), the campaign's definition,
// who was born when, when the server was down, and what is on disk afterwards:
// the export of all bookings and the totals (loadtest/evidence).
//
// # What is asked
//
//  1. The export by itself: no slot over its capacity, no person with more
//     than they may have, no code or sequence number twice, totals that add up
//     (ledger.go).
//  2. Each person by themselves: there must be an order of their requests, one
//     that agrees with real time, in which each answer is what the rules say,
//     and which ends in exactly what the export has of them (person.go, after
//     the model in model.go). Requests that nobody answered may have been
//     carried out or not. So a booking that was acknowledged and is gone, one
//     that nobody asked for, an answer from the past, a second number in line
//     and a refusal without a reason are all found, each where it happened.
//  3. Each slot by itself: at no moment more people who must have a place than
//     there are places, and nobody told that it is full while it cannot have
//     been (slots.go).
//  4. Some slots in full: the history of takings, givings and refusals must be
//     linearizable (linear.go, with porcupine: Anish Athalye; after Gavin
//     Lowe, "Testing for linearizability"). This finds what 3 cannot: answers
//     that are each possible, but not all of them.
//  5. The line: numbers once each, in the order of those who came one after
//     the other, and nobody let in whom a later answer shows to be still
//     waiting (line.go).
//
// Times are the client's. What depends on the server's clock is asked of all
// moments at which the server can have decided, with the error of the
// client's estimate, and every doubt is the server's. So a finding is a fact.
//
// # Bounds
//
// The answers of two million requests are in memory at a time, and what is left
// of them: some hundred bytes a booking. Histories that porcupine doesn't
// decide in time are counted as undecided and never as sound.
//
// # Not protected against
//
// The judge sees what clients saw. A server that lies to all of them in the same
// way, and whose export tells the same lie, is believed. Definitions that
// change and pauses during a run are not modelled: the refusals that come of
// them would be called unjustified. Refusals for want of room (429, 503) are
// counted and not judged, but for those of a server that says it is starting or
// stopping: whether there was too much to do is for the scenario's thresholds
// to say. In a slot whose takers left a request
// unanswered only the bounds of 3 are checked. Where nobody knows what the
// server calls the people (Case.Key), a booking that nobody was told of is
// explained by any request for that slot that got no answer.
package judge
