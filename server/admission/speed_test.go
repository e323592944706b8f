//go:build !race

// The race detector adds allocations of its own.

package admission

import (
	"net/netip"
	"testing"
	"time"
)

// bookingHead is what a browser sends, to scale.
var bookingHead = []byte("POST /v1/campaigns/kr-2021-50s/bookings HTTP/1.1\r\n" +
	"Host: booking.example.kr\r\n" +
	"User-Agent: Mozilla/5.0 (Linux; Android 11; SM-G991N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/91.0 Mobile Safari/537.36\r\n" +
	"Accept: application/json\r\nAccept-Language: ko-KR,ko;q=0.9,en;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n" +
	"Authorization: Bearer wp1.AQAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n" +
	"Content-Type: application/json\r\nContent-Length: 42\r\n\r\n")

// parts are the calls of the hot path.
func parts(t testing.TB) map[string]func() {
	open, shedding, adjusted := newGate(t, 1), newGate(t, 1), newGate(t, 1)
	shedding.cut.Store(uint32(NewLevel(Book, cohorts/2)))
	refusals := testRefusals(t)
	limiter, err := NewLimiter(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	clients := testClients(t, XForwardedFor)
	proxy := netip.MustParseAddr("10.0.0.1")
	buffer := make([]byte, 0, 4096)
	date := []byte(testDate)
	var now time.Duration
	var person [16]byte
	var turn uint64
	return map[string]func(){
		"classify":        func() { Classify(bookingHead) },
		"admit":           func() { open.Desk(0).Admit(Classify(bookingHead), bookingHead, Peer{}) },
		"admit by cohort": func() { shedding.Desk(0).Admit(Classify(bookingHead), bookingHead, Peer{}) },
		"refuse": func() {
			turn++
			buffer = refusals.Append(buffer[:0], Answer{Spread: 30, Turn: turn}, bookingHead, date)
		},
		"limit": func() {
			now += time.Millisecond
			person[0]++
			limiter.Person(person, now)
		},
		"client": func() { limiter.Hash(clients.Address(proxy, bookingHead)) },
		"adjust": func() { now += 20 * time.Millisecond; adjusted.Adjust(now, Signals{}) },
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	for name, run := range parts(t) {
		if n := testing.AllocsPerRun(500, run); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkHotPath(b *testing.B) {
	for name, run := range parts(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				run()
			}
		})
	}
}
