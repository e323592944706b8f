// Package snapshot keeps the folded log: the pages of the state on disk, so
// that a start need not read the log from its beginning, and old log can go.
//
// # Two stores
//
// There are two stores, a and b, each a Pebble database of its own, and they
// are written in turn. A snapshot into a store:
//
//  1. The sequence number from is noted that is durable at its begin. The log
//     behind it will be needed with this snapshot, and none before.
//  2. Part by part (core.Part) the pages that changed since this store was
//     written last are copied, a few under each hold of the part's lock; then
//     the journal is waited for, so that no page holds a record that a crash
//     could still take out of the log; then all pages of the part that differ
//     from what is stored and its header go in as one batch.
//  3. The seal is put in: what the snapshot holds and where the log goes on.
//     The store is flushed and closed.
//  4. The store is opened anew, read from end to end and compared with the
//     seal. Only then is the seal written once more, outside of the store. What
//     has no seal outside is no snapshot.
//
// A part stands in a store as it was at one moment, its newest record, and
// different parts at different moments. That is so at any time, also in the
// middle of a snapshot and after a crash there: batches become durable in their
// order and whole, and each replaces one part. So a store stays good to recover
// from, with the log behind the from of its last seal: a part leaves out the
// records that it has (core.Engine.Apply). Where a crash of the machine brings
// only some of the names in a directory to the disk, the store that was being
// written may be lost. The other one is not, and the log behind it is there.
//
// # Choices
//
// Two stores and not two checkpoints of one: hard-linked checkpoints share
// their files, and one bad sector would take both. Here no file belongs to both
// stores, and while one is being written the other is not even open. Each store
// has its own mark on every page in memory, two bits a page.
//
// Pebble's own log is off. The write-ahead log is in persist/wal; a crash takes
// some newest batches out of a store, and nothing is lost by that.
//
// Each page's hash stands in its part's header and each header's hash in the
// seal, so an old MANIFEST, an old table or two stores mixed up are noticed,
// although every checksum of Pebble's holds. A page that hashes as it is stored
// is not written again; after a start every page is looked at, and few are.
//
// Pebble tries a failed flush for ever, and ends the process where a directory
// cannot be synced; where opening a store fails it frees what a compaction is
// still using. Neither may happen here. So no write of Pebble's fails: from the
// first that would have on, nothing reaches the disk and all seems to go well,
// until the store is closed and the snapshot counts as failed (fuse). And
// compactions run when they are told to, after the pages (compactions).
//
// A snapshot must not be felt by those who wait for the log. So all of it goes
// in steps of some hundred kilobytes at most with rests between them (Pacer): no
// more than a share of a processor, and so many bytes a second. Pebble merges and
// compresses on its own, block by block as it writes them; so its files rest
// behind each (paced).
//
// # Not protected against
//
// Anybody who can write to the directory: the hashes are not keyed. A defect in
// the state itself, which would be copied as it is: weir verify compares with
// the log. A file system without durable rename.
package snapshot
