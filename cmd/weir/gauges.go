package main

import (
	"weir/persist/wal"
	"weir/server"
)

// gauges are the figures of /metrics that the HTTP server does not know of.
// They are asked for while the log is still being read, too.
func (in *instance) gauges(emit func(name string, value float64)) {
	emit("weir_rehearsal", figure(in.clock.rehearsing()))
	emit("weir_journal_durable", figure(in.config.journal == journalDurable))
	emit("weir_clock_behind_seconds", in.clock.behind().Seconds())
	if log := in.wal.Load(); log != nil {
		s := log.Stats()
		journalGauges(&s, emit)
	}
	in.snapshots.gauges(emit)
}

func journalGauges(s *wal.Stats, emit func(name string, value float64)) {
	emit("weir_journal_appended_sequence", float64(s.Appended))
	emit("weir_journal_durable_sequence", float64(s.Durable))
	emit("weir_journal_epoch", float64(s.Epoch))
	emit("weir_journal_pending_records", float64(s.PendingRecords))
	emit("weir_journal_pending_bytes", float64(s.PendingBytes))
	emit("weir_journal_envelopes_total", float64(s.Envelopes))
	emit("weir_journal_records_total", float64(s.Records))
	emit("weir_journal_bytes_total", float64(s.Bytes))
	emit("weir_journal_refused_total", float64(s.Refused))
	emit("weir_journal_stalls_total", float64(s.Stalls))
	emit("weir_journal_syncs_total", float64(s.Syncs))
	emit("weir_journal_sync_seconds_total", s.SyncTotal.Seconds())
	emit("weir_journal_sync_seconds_max", s.SyncMax.Seconds())
	emit(`weir_journal_sync_seconds{quantile="0.5"}`, s.SyncQuantile(0.5).Seconds())
	emit(`weir_journal_sync_seconds{quantile="0.99"}`, s.SyncQuantile(0.99).Seconds())
	emit("weir_journal_queue_seconds_total", s.QueueTotal.Seconds())
	emit("weir_journal_queue_seconds_max", s.QueueMax.Seconds())
	emit("weir_journal_free_bytes", float64(s.FreeBytes))
	emit("weir_journal_read_only", figure(s.ReadOnly))
	emit("weir_journal_stalled", figure(s.Stalled))
	emit("weir_journal_failed", figure(s.Failed != nil))
}

// journalDelays is what the steering of lines follows. A journal in memory has
// no delay.
func (in *instance) journalDelays() server.Delays {
	log := in.wal.Load()
	if log == nil {
		return server.Delays{}
	}
	s := log.Stats()
	return server.Delays{Queue: s.QueueBuckets, Commit: s.SyncBuckets, Oldest: s.Oldest}
}

// figure is a condition as a figure.
func figure(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
