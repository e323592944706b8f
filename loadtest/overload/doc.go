//go:build linux

// Package overload asks what a server does that is asked for more than it can
// do: bookings are offered in an open loop at multiples of its capacity, to
// weir serve as it is and to the same server without admission, and what comes
// of them is told: work done in time, how long it took, what was refused and
// what that cost.
//
// # Method
//
//  1. Each server is a process with a data directory of its own, on one CPU and
//     under a quota of it (a control group) so small that one thread can offer
//     twenty times what the server can do. On several CPUs it would have a loop
//     for each, of which the quota lets one run at a time, and as many more people
//     in hand. Without the right to make a control group there is no run.
//  2. Capacity is measured with a closed loop: bookings a second of weir as it is
//     when 128 people always wait, some more than one loop keeps in hand when it
//     is asked for too much.
//  3. Each booking is by another person with a pass, for a slot of many. It is
//     due at a fixed rate. What is booked within two seconds of being due is
//     goodput.
//  4. Whoever has no answer when their patience ends closes the connection and
//     leaves. Connections are bounded, as a proxy in front bounds them, to what
//     the server does in a second and a half; who finds none free within a
//     moment is shed there, and counts as offered.
//  5. The first seconds of a step are not counted: a queue needs them to fill,
//     and a controller to see it. Behind a step its load goes on, not counted
//     either, until all who were due in it have an answer: whom an overloaded
//     server keeps waiting it would serve as soon as the load ends.
//  6. All loads are offered to both servers in turns, in several rounds, each
//     with a capacity of its own: a machine that others share is slower at some
//     times than at others. The medians count.
//  7. After ten times the capacity the load falls back to 0.8 times, in the same
//     run. In a storm of retries everybody refused asks again at once, three
//     times, and then loads the page and starts over.
//  8. What a refusal costs the server is measured by itself, under the same quota:
//     closed loops of bookings, and of requests that are refused because one
//     address asks too often. Those are refused as admission refuses anybody,
//     before anything is parsed and with what was prepared.
//
// # Not protected against
//
// The figures hold for a server that a quota stops for some milliseconds at a
// time, and latency has that in it. They say what happens around the capacity,
// and nothing about how large it is on a whole machine. A run in which the
// loader was late itself is reported as invalid.
package overload
