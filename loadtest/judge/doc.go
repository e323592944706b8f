// Package judge holds what a crowd was told against what a server kept, and
// names every contradiction.
//
// It gets the files of answers (loadtest/answers), the campaign's definition,
// who was born when, when the server was down, when the operator had paused the
// campaign, and what is on disk afterwards:
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
//     the other, and nobody let in while a later answer shows that the mark had
//     not come to them: whoever is served is at or below a mark at which nobody
//     with a smaller number is told to wait (line.go). Whoever was called and
//     asked is not turned away again and again (turn.go).
//  6. The draw: its seed is the one that was committed to before the opening
//     and is told behind it, it gives everybody who was in it the number that
//     they were told, as many are in it as came, and who comes later is behind
//     (draw.go).
//  7. A pause: refusals because of it then and only then, nothing held, booked
//     or changed in it, a mark that stands, and holds and passes that end as
//     much later as it was long (pause.go).
//  8. What is shown to be free is a second old at most, and how many places a
//     slot was shown to have left it can have had in that second (shown.go).
//
// Times are the client's. What depends on the server's clock is asked of all
// moments at which the server can have decided, with the error of the
// client's estimate, and every doubt is the server's. So a finding is a fact.
//
// # Bounds
//
// The answers of two million requests are in memory at a time, and what is left
// of them: some hundred bytes a booking, and what four million slots were shown
// to have left; where more were shown, some slots are judged by all that was
// shown of them and the others by none of it. Histories that porcupine doesn't
// decide in time are counted as undecided and never as sound.
//
// # Not protected against
//
// The judge sees what clients saw. A server that lies to all of them in the same
// way, and whose export tells the same lie, is believed. Definitions that
// change during a run are not modelled: the refusals that come of them would be
// called unjustified. So would those of a pause that the judge is not told of.
//
// Of the line it is not judged how fast the mark rises, nor whether somebody who
// did not ask was called in time. That the commitment to a draw was public
// before the first joined is asked as far as somebody looked: it must have been
// told before the opening, and never another. That the seed was chosen by
// nobody is beyond any judge. Who comes while others come is in no order with
// them, so the order of numbers is asked of those alone whose requests did not
// overlap.
//
// Of what is shown, only lists of slots are held against what was taken: how
// much a list of sites shows is not judged but for its age, nor what somebody is
// told to have instead of a full slot. Several slots of one list are
// judged each by itself, since nothing promises that they were read at once. A
// slot of which a taker's request got no answer may be shown either way.
//
// Where the client itself stood still (Case.Stalls) the server is taken to have
// stood still with it. Refusals for want of room (429, 503) are
// counted and not judged, but for those of a server that says it is starting or
// stopping: whether there was too much to do is for the scenario's thresholds
// to say. In a slot whose takers left a request
// unanswered only the bounds of 3 are checked. Where nobody knows what the
// server calls the people (Case.Key), a booking that nobody was told of is
// explained by any request for that slot that got no answer.
package judge
