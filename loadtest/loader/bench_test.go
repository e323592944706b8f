//go:build linux

package loader

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

const (
	serverEnv        = "WEIR_LOADER_BENCH_SERVER"
	benchConnections = 128
)

// startServer runs this test binary again as a server, so that the CPU of the
// load alone is counted here. The server stops when its standard input ends.
func startServer(b *testing.B) (addr string) {
	b.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestServeForBenchmarks$")
	command.Env = append(os.Environ(), serverEnv+"=1")
	input, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = input.Close()
		if err := command.Wait(); err != nil {
			b.Errorf("server: %v", err)
		}
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, output) }() // ends with the process
	return strings.TrimSpace(line)
}

// TestServeForBenchmarks is the server of the benchmarks in a process of its
// own; in a usual test run it only checks that it can be started and stopped.
func TestServeForBenchmarks(t *testing.T) {
	addr := serveFast(t, func(ctx *fasthttp.RequestCtx) {
		ctx.SetStatusCode(fasthttp.StatusCreated)
		ctx.SetBodyString(`{"code":"7K2QF-93TMD","state":"booked"}`)
	})
	if os.Getenv(serverEnv) == "" {
		result, err := Run(t.Context(), Options{Addr: addr, Requests: 1, Next: get})
		if err != nil || result.ByStatus[201] != 1 {
			t.Errorf("by status %v, %v", result.ByStatus, err)
		}
		return
	}
	if _, err := os.Stdout.WriteString(addr + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
}

func benchRequest(dst []byte, n int64) []byte {
	dst = append(dst, "POST /v1/campaigns/bench/bookings HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer "...)
	dst = append(dst, "wp1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"...)
	dst = append(dst, "\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n"...)
	dst = append(dst, `{"slot":"s`...)
	dst = strconv.AppendInt(dst, 10_000_000_000+n, 10)
	return append(dst, `"}`...)
}

func BenchmarkRun(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run("threads="+strconv.Itoa(threads), func(b *testing.B) {
			addr := startServer(b)
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			result, err := Run(b.Context(), Options{
				Addr: addr, Connections: benchConnections, Threads: threads, Requests: int64(b.N),
				Next: func(_ int, dst []byte) []byte { return benchRequest(dst, n.Add(1)) },
			})
			if err != nil || result.Errors > 0 {
				b.Fatalf("%v %v", err, result.FirstErrors)
			}
			b.ReportMetric(float64(result.ClientCPU.Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkGoroutines is the design that was not taken: a goroutine a
// connection, package net below, everything else the same.
func BenchmarkGoroutines(b *testing.B) {
	addr := startServer(b)
	var n atomic.Int64
	before := processCPU(b)
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	for range benchConnections {
		running.Go(func() {
			if err := askInTurn(addr, &n, int64(b.N)); err != nil {
				b.Error(err)
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processCPU(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func askInTurn(addr string, n *atomic.Int64, requests int64) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	var out []byte
	in := make([]byte, 0, firstBuffer)
	for {
		i := n.Add(1)
		if i > requests {
			return nil
		}
		out = benchRequest(out[:0], i)
		if _, err := c.Write(out); err != nil {
			return err
		}
		in = in[:0]
		for whole := false; !whole; {
			got, err := c.Read(in[len(in):cap(in)])
			if err != nil {
				return err
			}
			in = in[:len(in)+got]
			if _, whole, err = parse(in); err != nil {
				return err
			}
		}
	}
}

func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
