package server

import (
	"sync/atomic"
	"time"
)

// stage is what the server is busy with, for /readyz and for those who come
// too early or too late.
type stage struct {
	now atomic.Pointer[stageNow]
}

type stageNow struct {
	name     string
	eta      time.Duration // until ready, roughly; 0: not known
	since    time.Time
	ready    bool
	stopping bool
}

// The names of the stages that the server enters by itself.
const (
	stageStarting = "starting"
	stageReady    = "ready"
	stageDraining = "draining"
)

func (s *stage) set(n stageNow) {
	n.since = time.Now()
	for {
		old := s.now.Load()
		if old != nil && old.stopping {
			return // nothing comes after that
		}
		if s.now.CompareAndSwap(old, &n) {
			return
		}
	}
}

// refusal is what a public request gets in this stage, nil when ready.
func (s *stage) refusal() error {
	switch n := s.now.Load(); {
	case n.ready:
		return nil
	case n.stopping:
		return faultStopping
	}
	return faultStarting
}

// left is how long the stage still takes, at least a second, as far as known.
func (n *stageNow) left() time.Duration {
	return max(time.Second, n.eta-time.Since(n.since))
}
