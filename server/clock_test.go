package server

import (
	"sync"
	"testing"
	"time"

	"weir/core/event"
)

func TestClockNeverGoesBack(t *testing.T) {
	ahead := event.Time(time.Now().Add(time.Hour).UnixMilli())
	c := NewClock(ahead, 0)
	if got := c.Now().UnixMilli(); got != int64(ahead) {
		t.Fatalf("clock reads %d under its floor %d", got, ahead)
	}
	if b := c.Behind(); b < 59*time.Minute || b > time.Hour {
		t.Fatalf("behind by %v", b)
	}
	c.Raise(ahead - 1)
	c.Raise(ahead + 5)
	if got := c.Now().UnixMilli(); got != int64(ahead)+5 {
		t.Fatalf("clock reads %d after its floor was raised to %d", got, ahead+5)
	}
}

func TestClockOffset(t *testing.T) {
	at := time.Date(2021, 7, 19, 20, 0, 0, 0, time.FixedZone("KST", 9*3600))
	c := NewClock(0, time.Until(at))
	if d := c.Now().Sub(at); d < -time.Second || d > 10*time.Second {
		t.Fatalf("the rehearsal's clock is off by %v", d)
	}
	if c.Now().Location() != time.UTC || c.Behind() != 0 {
		t.Fatal("not in UTC, or behind")
	}
}

func TestClockManyReaders(t *testing.T) {
	c := NewClock(0, 0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			last := c.Now()
			for range 10000 {
				now := c.Now()
				if now.Before(last) {
					t.Error("the clock went back")
					return
				}
				last = now
			}
		})
	}
	all.Wait()
}
