//go:build linux

package reactor

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// BenchmarkLane sends the same small requests over the same number of
// connections to loops and to a goroutine a connection, in turns, and prints
// what one takes with either. The callers, in this process, cost the same with
// both; so the two figures are to be compared with each other only.
func BenchmarkLane(b *testing.B) {
	const rounds = 10
	for _, callers := range []int{16, 128} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s := newStand(b, patient, nil)
			sides := map[string]string{"lane": s.addr, "goroutine": s.serveWithGoroutines()}
			conns := map[string][]*caller{}
			for side, addr := range sides {
				for range callers {
					c := s.callTo(addr)
					c.get("/", "a").want("a")
					conns[side] = append(conns[side], c)
				}
			}
			each := max(1, b.N/callers/rounds)
			spent := map[string]time.Duration{}
			for range rounds {
				for side := range sides {
					began := time.Now()
					askAll(b, conns[side], each)
					spent[side] += time.Since(began)
				}
			}
			for side, took := range spent {
				b.ReportMetric(float64(took.Nanoseconds())/float64(rounds*each*callers), side+"-ns/request")
			}
			b.ReportMetric(0, "ns/op") // of both sides together: says nothing
		})
	}
}

// serveWithGoroutines serves as the HTTP library does by itself.
func (s *stand) serveWithGoroutines() (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			conns.Go(func() { _ = s.http.ServeConn(c) })
		}
	})
	s.Cleanup(conns.Wait)
	s.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func askAll(b *testing.B, conns []*caller, each int) {
	request := []byte(postText("/", "secret", "a body of some length"))
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			answer := make([]byte, 4096)
			for range each {
				_, errWrite := c.Write(request)
				n, err := c.Read(answer)
				if errWrite != nil || err != nil || n < 20 {
					b.Errorf("%v, %v, %d bytes", errWrite, err, n)
					return
				}
			}
		})
	}
	all.Wait()
}
