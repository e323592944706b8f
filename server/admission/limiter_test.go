package admission

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func every(t interface{ Fatal(...any) }, perSecond float64, burst int) Rate {
	r, err := Every(perSecond, burst)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRateIsATokenBucket: the twin is a bucket of burst tokens that fills up at
// the rate.
func TestRateIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.SampledFrom([]float64{0.5, 1, 4, 100, 1000}).Draw(t, "rate")
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		r := every(t, perSecond, burst)
		tokens, now, due := float64(burst), time.Duration(0), time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			step := rapid.SampledFrom([]time.Duration{0, r.interval / 4, r.interval, 3 * r.interval, time.Minute}).Draw(t, "step")
			now += step
			tokens = min(tokens+step.Seconds()*perSecond, float64(burst))
			next, wait := r.Take(due, now)
			const slop = 1e-6
			if passes := wait == 0; passes && tokens < 1-slop || !passes && tokens > 1+slop {
				t.Fatalf("wait %v with %v tokens", wait, tokens)
			}
			if wait > 0 {
				if _, still := r.Take(next, now+wait); still > 0 {
					t.Fatalf("%v later it is still %v", wait, still)
				}
				continue
			}
			due, tokens = next, max(tokens-1, 0)
		}
	})
}

func TestRatesThatCannotBe(t *testing.T) {
	for _, r := range []struct {
		perSecond float64
		burst     int
	}{{0, 1}, {-1, 1}, {perSecondMax + 1, 1}, {1, 0}, {0.001, 1e6}} {
		if _, err := Every(r.perSecond, r.burst); err == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
	l := DefaultLimits()
	for name, spoil := range map[string]func(*Limits){
		"prefix": func(l *Limits) { l.IPv6Bits = 129 },
		"slots":  func(l *Limits) { l.Slots = 0 },
		"rate":   func(l *Limits) { l.Person = Rate{} },
	} {
		spoiled := l
		spoil(&spoiled)
		if _, err := NewLimiter(spoiled); err == nil {
			t.Errorf("bad %s was accepted", name)
		}
	}
}

func testLimiter(t interface{ Fatal(...any) }, slots int) *Limiter {
	l, err := NewLimiter(Limits{IPv4: every(t, 10, 5), IPv6: every(t, 10, 5), IPv6Bits: 64, Person: every(t, 10, 5), Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLimiterKeepsClientsApart: in a table with room, each has its own rate.
func TestLimiterKeepsClientsApart(t *testing.T) {
	l := testLimiter(t, 1<<16)
	for i := range 500 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		for n := range 5 {
			if wait := l.Address(addr, time.Second); wait != 0 {
				t.Fatalf("%v waits %v at its request %d", addr, wait, n)
			}
		}
		if wait := l.Address(addr, time.Second); wait < 90*time.Millisecond || wait > 101*time.Millisecond {
			t.Fatalf("%v waits %v past its burst", addr, wait)
		}
		if wait := l.Address(addr, 1101*time.Millisecond); wait != 0 {
			t.Fatalf("%v waits %v an interval later", addr, wait)
		}
	}
}

func TestLimiterTakesNetworksOfIPv6(t *testing.T) {
	l := testLimiter(t, 1<<10)
	spend := func(text string) time.Duration { return l.Address(netip.MustParseAddr(text), 0) }
	for range 5 {
		spend("2001:db8::1")
	}
	if spend("2001:db8::ffff:2%eth0") == 0 {
		t.Error("another address of the network has a rate of its own")
	}
	if spend("2001:db8:0:1::1") != 0 {
		t.Error("another network shares the rate")
	}
	for range 5 {
		spend("::ffff:192.0.2.1")
	}
	if spend("192.0.2.1") == 0 {
		t.Error("an IPv4 address in the form of IPv6 has a rate of its own")
	}
	if l.Address(netip.Addr{}, 0) != 0 {
		t.Error("no address, and a limit")
	}
}

func TestLimiterOfPersons(t *testing.T) {
	l := testLimiter(t, 1<<10)
	addr := netip.MustParseAddr("2001:db8::")
	for range 5 {
		l.Person(addr.As16(), 0)
	}
	if l.Person(addr.As16(), 0) == 0 {
		t.Error("a person has no limit")
	}
	if l.Address(addr, 0) != 0 {
		t.Error("an address pays for the person whose key looks like it")
	}
}

// TestFullTableForgives: far more clients than slots. Nobody who keeps to the
// rate is ever refused by those that crowd the table.
func TestFullTableForgives(t *testing.T) {
	l := testLimiter(t, rowSlots)
	var person [16]byte
	for i := range 20_000 {
		now := time.Duration(i) * time.Millisecond
		binary.LittleEndian.PutUint64(person[:], uint64(i))
		if wait := l.Person(person, now); wait != 0 {
			t.Fatalf("stranger %d waits %v", i, wait)
		}
	}
}

// TestEraMovesKeys: whoever shares a slot with another today does not in the
// next era, and the limit begins anew.
func TestEraMovesKeys(t *testing.T) {
	l := testLimiter(t, 1<<16)
	addr := netip.MustParseAddr("192.0.2.1")
	for range 6 {
		l.Address(addr, era-time.Millisecond)
	}
	if l.Address(addr, era-time.Millisecond) == 0 {
		t.Fatal("no limit")
	}
	if l.Address(addr, era) != 0 {
		t.Error("the limit outlives its era")
	}
}

func TestLimiterIsExactUnderConcurrency(t *testing.T) {
	l := testLimiter(t, 1<<10)
	addr := netip.MustParseAddr("192.0.2.1")
	var passed atomic.Int64
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range 1000 {
				if l.Address(addr, time.Second) == 0 {
					passed.Add(1)
				}
			}
		})
	}
	done.Wait()
	if passed.Load() != 5 {
		t.Errorf("%d passed at once, with a burst of 5", passed.Load())
	}
}
