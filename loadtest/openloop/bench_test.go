//go:build linux

package openloop

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/loadtest/loader"

	"github.com/valyala/fasthttp"
)

const (
	serverEnv        = "WEIR_OPENLOOP_BENCH_SERVER"
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
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		ctx.SetStatusCode(fasthttp.StatusCreated)
		ctx.SetBodyString(`{"code":"7K2QF-93TMD","state":"booked"}`)
	})
	if os.Getenv(serverEnv) == "" {
		r := run(t, Options{
			Addr: addr, Labels: []string{"all"}, Clients: 1,
			Driver: func(int) Driver { return &inTurn{clients: 1, left: 1} },
		})
		if r.Labels[0].ByStatus[201] != 1 {
			t.Errorf("by status %v", r.Labels[0].ByStatus)
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

// inTurn is a closed loop on this package's engine: each client sends the next
// request when it has the answer to the last. It shows what a request costs
// here, beside loaders that can do nothing else.
type inTurn struct {
	clients, left int
	failed        int
}

func (d *inTurn) Start(l *Loop) {
	for client := range d.clients {
		l.WakeAt(Client(client), 0)
	}
}

func (d *inTurn) Wake(l *Loop, client Client, _ time.Duration) { d.send(l, client) }

func (d *inTurn) send(l *Loop, client Client) {
	if d.left > 0 {
		d.left--
		l.Send(Request{Client: client, Tag: uint64(d.left), Due: l.Now()})
	}
}

func (d *inTurn) Compose(dst []byte, r Request) []byte { return benchRequest(dst, int64(r.Tag)) }

func (d *inTurn) Ended(l *Loop, r Request, a *Answer) Label {
	if a.Failure != None {
		d.failed++
	}
	d.send(l, r.Client)
	return 0
}

func benchRequest(dst []byte, n int64) []byte {
	dst = append(dst, "POST /v1/campaigns/bench/bookings HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer "...)
	dst = append(dst, "wp1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"...)
	dst = append(dst, "\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n"...)
	dst = append(dst, `{"slot":"s`...)
	dst = strconv.AppendInt(dst, 10_000_000_000+n, 10)
	return append(dst, `"}`...)
}

// BenchmarkInTurn compares with package loader, which is closed-loop and can do
// nothing else: requests a second, the ratio, and CPU of the load a request.
func BenchmarkInTurn(b *testing.B) {
	beside(b, "loader", func(b *testing.B, addr string, requests int) (elapsed time.Duration) {
		var n int64
		r, err := loader.Run(b.Context(), loader.Options{
			Addr: addr, Connections: benchConnections, Requests: int64(requests),
			Next: func(_ int, dst []byte) []byte { n++; return benchRequest(dst, n) },
		})
		if err != nil || r.Errors > 0 {
			b.Fatalf("%v %v", err, r.FirstErrors)
		}
		b.ReportMetric(float64(r.ClientCPU.Nanoseconds())/float64(requests), "loader-cpu-ns")
		return r.Elapsed
	})
}

// BenchmarkBesideWrk compares with wrk (Debian's package of that name), one
// thread on either side and the same request, which wrk makes once.
func BenchmarkBesideWrk(b *testing.B) {
	program, err := exec.LookPath("wrk")
	if err != nil {
		b.Fatalf("%v: apt-get install wrk", err)
	}
	script := filepath.Join(b.TempDir(), "post.lua")
	if err := os.WriteFile(script, []byte(wrkScript()), 0o600); err != nil {
		b.Fatal(err)
	}
	const length = 2 // seconds, wrk's unit
	beside(b, "wrk", func(b *testing.B, addr string, requests int) (elapsed time.Duration) {
		output, err := exec.CommandContext(b.Context(), program, "-t1", "-c"+strconv.Itoa(benchConnections),
			"-d"+strconv.Itoa(length)+"s", "-s", script, "http://"+addr+"/v1/campaigns/bench/bookings").CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, output)
		}
		_, rest, found := strings.Cut(string(output), "Requests/sec:")
		fields := strings.Fields(rest)
		if !found || len(fields) == 0 {
			b.Fatalf("no rate in what wrk says:\n%s", output)
		}
		perSecond, err := strconv.ParseFloat(fields[0], 64)
		if err != nil || perSecond <= 0 {
			b.Fatalf("rate %q: %v", fields[0], err)
		}
		return time.Duration(float64(requests) / perSecond * 1e9)
	})
}

func wrkScript() string {
	head, body, _ := strings.Cut(string(benchRequest(nil, 0)), "\r\n\r\n")
	script := "wrk.method = 'POST'\nwrk.body = '" + body + "'\n"
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		script += "wrk.headers['" + name + "'] = '" + value + "'\n"
	}
	return script
}

// beside measures this package and another loader in turns, so that other work
// on the machine shows in both, and prints the ratio of requests a second. The
// other one returns how long it took, or would have taken, for the requests.
func beside(b *testing.B, name string, other func(b *testing.B, addr string, requests int) (elapsed time.Duration)) {
	addr := startServer(b)
	const rounds = 4
	requests := max(b.N/rounds, 1)
	var mine, theirs, cpu time.Duration
	b.ResetTimer()
	for range rounds {
		theirs += other(b, addr, requests)
		d := &inTurn{clients: benchConnections, left: requests}
		r := run(b, Options{
			Addr: addr, Labels: []string{"all"}, Clients: benchConnections, Connections: benchConnections,
			Driver: func(int) Driver { return d },
		})
		if r.Labels[0].ByStatus[201] != int64(requests) {
			b.Fatalf("%+v %v", r.Counters, r.Labels[0].ByStatus)
		}
		mine, cpu = mine+r.Elapsed, cpu+r.ClientCPU
	}
	total := float64(rounds * requests)
	b.ReportMetric(total/mine.Seconds(), "openloop-req/s")
	b.ReportMetric(total/theirs.Seconds(), name+"-req/s")
	b.ReportMetric(theirs.Seconds()/mine.Seconds(), "ratio")
	b.ReportMetric(float64(cpu.Nanoseconds())/total, "openloop-cpu-ns")
}
