// Package wal is the write-ahead log: tidwall/wal made safe, and group commit
// over it. Log is the core.Journal that the server runs on.
//
// The life of a record:
//
//  1. Reserve claims room. A full log refuses at once, a nearly full disk too.
//  2. Append encodes the record straight into the open batch, under one short
//     mutex, and gives it its number.
//  3. The committer, one goroutine, takes the whole batch, seals it as one
//     envelope (envelope.go), writes it and syncs it. Meanwhile the next batch
//     fills.
//  4. durable rises, and the batch's waiters wake together.
//
// tidwall/wal stores length and data, and no more. What this package adds:
// envelopes with a checksum, each chained to the one before by its hash; a scan
// of its own before anything is written (scan.go); repair of a torn tail and
// refusal of every other damage; a mark that notices a lost end (mark.go); a
// directory lock; an identity, so that an emptied directory is noticed; syncs of
// directories; a sticky error; watermarks of free space; and epochs: every
// start begins a new directory, so that no file that was there before is ever
// appended to, and old log can go by whole directories.
//
// # Choices
//
// Waiters wait on one channel a batch, which the commit closes. Measured side
// by side on two cores: sync.Cond over the log's mutex, sync.Cond over a
// RWMutex, sync.WaitGroup, and eight channels a batch. At 1,024 waiters all took
// 250 to 500 ns a waiter, and from run to run each differed from itself by as
// much as from the others. The channel needs no second lock, and lets a watchdog
// let go of a batch's waiters without a timer each.
//
// A busy log lets a batch grow until all callers that it knows of are in it, as
// long as the last sync took (gather). It used to leave small batches alone and
// to wait in larger ones, up to 2 ms, for all but those who were expected during
// the next sync. That kept whatever size it had: with 16 callers two batches of
// five or six took turns, and under a small quota of the processor a log went on
// from one tiny batch to the next, each for the price of a large one.
//
// A goroutine blocked in fsync keeps its processor until the runtime's monitor
// takes it away, after 20 µs and more. One processor more than there are cores
// (GOMAXPROCS=3 on two) was to fill that gap; it measured some 5 % slower with
// 64 waiters and some 10 % slower with 1,024, so nothing here asks for it.
//
// # What it does not protect against
//
// A disk that reports a sync as done and forgets it. Damage to the last
// envelope within the second before a crash, where the mark has not caught up:
// it is taken for a torn write. Loss of the mark's last second together with
// whole envelopes at the end, likewise. Anybody who can write to the directory:
// checksums and hashes are not keyed. A record's meaning: the log orders and
// keeps what it is given. File systems without flock or without durable rename.
package wal
