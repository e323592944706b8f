// Package line is the waiting line of a campaign, as far as it is arithmetic:
// the draw that orders those who came early (draw.go), the steering of the
// serving mark (steering.go, controller.go), and what follows from number and
// mark for one person (poll.go). It keeps no people and has no clock; the
// numbers that people hold, the draws and the mark are the engine's, and stand
// in the log.
//
// # How the line works
//
//  1. Everybody gets a number, 1, 2, 3 … in the order of their coming. The
//     serving mark rises; whose number is at or below it may come in, then or
//     at any later time.
//  2. Where a campaign draws lots, those who come before an opening get an
//     index instead, 0 … size-1 in the order of their coming. Before the first
//     of them comes, the Commitment to a secret Seed is published.
//  3. At the opening the Seed is published. It decides a Permutation of the
//     indices, and with it everybody's number at once: base + 1 + Rank(index).
//     Nothing is sorted and nothing is stored for a person. Who comes later is
//     behind all of them, in the order of their coming.
//  4. A Controller raises the mark: so far that the server is full and no
//     further, further where the called don't come, and ahead of the last
//     number where nobody waits.
//  5. From the mark and its rate follow people ahead, ETA, and when to ask
//     again.
//
// # Promises
//
//   - The mark never falls, so a turn once called stays.
//   - A draw is a bijection: as many numbers as people, each once.
//   - Every index is as likely to get every rank, and so is every pair of them,
//     to the limits of what chi-square tests of some thousand seeds can see.
//   - Anybody can recompute a draw from seed, size and index, with SHA-256 and
//     whole numbers, in any language; testdata/draw.golden has examples. That
//     the seed is the one that was settled before, the Commitment shows.
//   - All who wait together ask no more often than a budget, if they keep to the
//     intervals they are told.
//
// # Not protected against
//
// Whoever holds the seed before the draw knows the draw. The commitment keeps
// them from choosing another seed once the first person is in, and from denying
// later which one it was. It does not keep them from trying many seeds before
// they commit; that gains little, since a rank depends on the size and on the
// index, and neither is known then. Nor does it keep them from acting on what
// they know. Indices are given in the order of coming, so somebody with the seed who sees
// how many have come could compute which index would get a small number if the
// draw were to end at a certain size, and join at that moment. The size is part
// of the key of the draw, so that a single person more gives everybody a new
// rank: to use the seed one has to be the last to join, or to know how many will
// come. That is a hurdle and no proof. So the seed should come from a key that
// no person reads. A seed mixed with a public value that appears only after the
// last person has joined (a lottery, a randomness beacon) would close this; it
// would also make the opening wait for somebody else's service.
//
// The draw treats indices alike, not people: that one person has one index is
// for the engine and for the identity in front of it. The order in which people
// come is the server's word alone. And a Controller steers by what it is told;
// see there for what it can't.
//
// # Rejected
//
// To draw a random key for each person and sort by it, or to shuffle an array of
// all: six million people cost seconds at the very moment when everybody asks,
// and memory for every person; a number could not be told before all are done;
// and a replay of the log would have to do it again. To check one's own number
// one would need everybody else's. A hash of seed and person as the number is
// constant time too, but gives a point in the line and not a place: numbers
// would have gaps and nobody could tell how many are ahead.
//
// A mark that rises at a rate set by hand, and by nothing else: nobody knows
// before the opening what the right rate is, it changes with the machine and
// with the people, and a rate too high takes the server down. It is there for
// whoever needs it.
package line
