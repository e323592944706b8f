package wal

import (
	"sync"
	"testing"
	"time"
)

// TestGather has a log wait for all callers there are, and for nobody where
// there is one. Its disk turns: a sync ends when it has come round.
func TestGather(t *testing.T) {
	const rounds = 100
	turns := time.NewTicker(2 * time.Millisecond)
	defer turns.Stop()
	turning := files{before: func(op, _ string) error {
		if op == "sync segment" {
			<-turns.C
		}
		return nil
	}}
	for _, test := range []struct {
		callers int
		least   float64 // records a sync
		queued  float64 // share of the syncs' time that batches waited, at most
	}{
		{callers: 1, least: 1, queued: 0.25},
		{callers: 4, least: 3, queued: 1}, // without waiting two batches of two take turns
		{callers: 2 * growFrom, least: 1.5 * growFrom, queued: 1},
	} {
		o := small()
		o.files = turning
		l := mustOpen(t, t.TempDir(), o)
		var all sync.WaitGroup
		for range test.callers {
			all.Go(func() {
				for range rounds {
					seq, err := put(l)
					if err == nil {
						err = l.Wait(seq)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		s := l.Stats()
		mustClose(t, l)
		if each := float64(s.Records) / float64(s.Syncs); each < test.least {
			t.Errorf("%d callers: %.1f records a sync, want at least %.1f", test.callers, each, test.least)
		}
		if share := s.QueueTotal.Seconds() / s.SyncTotal.Seconds(); share > test.queued {
			t.Errorf("%d callers: batches waited for %.2f of the time that syncs took, want at most %.2f", test.callers, share, test.queued)
		}
	}
}
