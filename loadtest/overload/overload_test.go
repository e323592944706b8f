//go:build linux

package overload

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/loadtest/openloop"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files again")

// A stopped fasthttp server leaves one goroutine asleep for ten seconds more.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// TestRun is the whole thing on a real server, for some seconds: what it
// measures means nothing then, but all of it is there. Who may set no quota
// gets an error that says so, and no figures.
func TestRun(t *testing.T) {
	report, err := Run(t.Context(), Options{
		Share: 0.1, Rounds: 1, Multiples: []float64{0.8, 3}, Step: 1500 * time.Millisecond, Settle: 500 * time.Millisecond,
		Fade: 500 * time.Millisecond, After: time.Second, Patience: time.Second, Connections: 500, Log: t.Logf, Dir: t.TempDir(),
	})
	if os.Geteuid() != 0 {
		if !errors.Is(err, ErrQuota) || len(report.Arms) > 0 {
			t.Errorf("without root: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Closed) != 1 || len(report.Arms) == 0 || len(report.Checks) == 0 {
		t.Fatalf("report %+v", report)
	}
	for _, a := range report.Arms {
		if len(a.Rounds) != 1 || len(a.Steps) != 2 {
			t.Fatalf("%s: %+v", a.Name, a)
		}
		if round := a.Rounds[0]; round.Fall == nil || round.Storm == nil || round.Storm.Requests < round.Storm.People {
			t.Fatalf("%s: %+v", a.Name, round)
		}
		for _, s := range a.Steps {
			if due := int64(s.Offered); s.ended() != due || s.Booked == 0 || s.ServerCPUSeconds <= 0 {
				t.Errorf("%s: %d of %d requests ended: %+v", a.Name, s.ended(), due, s)
			}
		}
	}
	if c := report.Closed[0]; c.Bookings <= 0 || c.BookingMicros <= 0 || c.RefusalMicros <= 0 {
		t.Errorf("closed loops %+v", c)
	}
	if report.Passed() {
		t.Error("a run of a second proved everything")
	}
}

func TestQuotaHolds(t *testing.T) {
	const share = 0.05
	q, err := newQuota("weir-overload-test", share)
	if os.Geteuid() != 0 {
		if !errors.Is(err, ErrQuota) {
			t.Errorf("without root: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
	busy.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	if err := q.add(busy.Process.Pid); err != nil {
		t.Error(err)
	}
	before, err1 := processCPU(busy.Process.Pid)
	began := time.Now()
	<-time.After(time.Second)
	after, err2 := processCPU(busy.Process.Pid)
	used, elapsed := after-before, time.Since(began)
	_, _ = busy.Process.Kill(), busy.Wait()
	if err := errors.Join(err1, err2, q.remove()); err != nil {
		t.Fatal(err)
	}
	if most := time.Duration(1.5 * share * float64(elapsed)); used > most || used == 0 {
		t.Errorf("used %v of a CPU in %v, at most %v", used, elapsed, most)
	}
}

func TestQuotaRefuses(t *testing.T) {
	if _, err := newQuota("weir-overload-test", 1e-6); !errors.Is(err, ErrQuota) {
		t.Errorf("a millionth of a CPU: %v", err)
	}
	if _, err := makeGroup(filepath.Join(t.TempDir(), "missing", "group"), nil); !errors.Is(err, ErrQuota) {
		t.Errorf("no hierarchy: %v", err)
	}
}

// TestStormIsBounded has a server that refuses everybody: each person asks 16
// times, loads the page three times, and leaves.
func TestStormIsBounded(t *testing.T) {
	var bookings, pages atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{CloseOnShutdown: true, NoDefaultDate: true, Handler: func(ctx *fasthttp.RequestCtx) {
		if ctx.IsPost() {
			bookings.Add(1)
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
			ctx.SetBodyString(`{"status":503,"code":"overloaded"}`)
			return
		}
		pages.Add(1)
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s, err := newStage(t.TempDir())
	if err == nil {
		err = s.mint(20)
	}
	if err != nil {
		t.Fatal(err)
	}
	curve, err := openloop.Steady(200, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	d := &impatient{stage: s, curve: curve, seen: newSheet(0), pages: newSheet(0), people: make([]patience, curve.Count())}
	engine, err := openloop.New(openloop.Options{
		Addr: listener.Addr().String(), Labels: []string{"all"}, Clients: 21,
		Driver: func(int) openloop.Driver { return d },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(server.Shutdown(), <-served); err != nil {
		t.Error(err)
	}
	if bookings.Load() != 20*16 || pages.Load() != 20*3 || d.left != 20 || d.requests != 20*19 {
		t.Errorf("%d bookings, %d pages, %d left, %d requests", bookings.Load(), pages.Load(), d.left, d.requests)
	}
	if n := d.seen.outcomes()["503 overloaded"]; n != 20*16 {
		t.Errorf("outcomes %v", d.seen.outcomes())
	}
}

func TestSheet(t *testing.T) {
	s := newSheet(10 * time.Second)
	at := func(due, latency time.Duration, status int, body string) {
		s.due(due)
		s.note(due, &openloop.Answer{Status: status, Body: []byte(body), At: due + latency})
	}
	at(9*time.Second, time.Millisecond, 201, "")                                 // too early to count
	at(10*time.Second, time.Millisecond, 201, `{"code":"7K2QF-93TMD"}`)          // good
	at(11500*time.Millisecond, 3*time.Second, 201, "")                           // too late
	at(12*time.Second, 2*time.Second, 200, "")                                   // just in time
	at(13*time.Second, time.Millisecond, 503, `{"status":503,"code":"x","a":1}`) // refused
	at(13*time.Second, time.Millisecond, 502, "")
	s.due(14 * time.Second)
	s.note(14*time.Second, &openloop.Answer{Failure: openloop.TimedOut, At: 20 * time.Second})
	if s.dueCount != 6 || s.goodCount != 2 || s.booked != 4 {
		t.Errorf("%d due, %d good, %d booked", s.dueCount, s.goodCount, s.booked)
	}
	encoded, err := json.Marshal(s.outcomes())
	if want := `{"200":1,"201":2,"502":1,"503 x":1,"timed out":1}`; err != nil || string(encoded) != want {
		t.Errorf("outcomes %s, want %s", encoded, want)
	}
	if share, known := s.meanShare(1, time.Second, 4*time.Second); !known || share != 1.0/3 {
		t.Errorf("share %g %v: only the third second of three had one in time", share, known)
	}
	if _, known := s.meanShare(1, 5*time.Second, 5*time.Second); known {
		t.Error("the share of no time is known")
	}
}

// sample is a report of a server that does all that it should.
func sample() *Report {
	arm := func(name string, collapses bool) *Arm {
		round := &Round{Fall: &Fall{Multiple: surge}, Storm: &Storm{}}
		round.Fall.Share, round.Fall.Known, round.Storm.Share, round.Storm.Known = 1, true, 0.99, true
		for _, m := range []float64{0.5, 0.8, 1, 2, 5, 10, 20} {
			s := &Step{Multiple: m, Offered: 1000 * m, Goodput: 1000 * min(m, 0.97), P50Millis: 5, P99Millis: 20 + m, Booked: int64(8000 * min(m, 0.97))}
			s.Seconds, s.ServerCPUSeconds = 8, 0.4*min(m, 1)
			s.Outcomes = map[string]int64{"201": s.Booked}
			if m > 1 {
				s.Outcomes["503 overloaded"] = int64(1000 * m)
				s.Outcomes["no connection free"] = int64(7000*m) - s.Booked
			}
			if collapses && m > 1 {
				s.Goodput, s.P99Millis = 100/m, 3900
			}
			s.OfCapacity = s.Goodput / 1000
			round.Steps = append(round.Steps, s)
		}
		return &Arm{Name: name, Rounds: []*Round{round}}
	}
	r := &Report{
		Share: 0.05, Settings: Settings{StepSeconds: 10, SettleSeconds: 2},
		Arms:   []*Arm{arm(withoutAdmission, true), arm(withAdmission, false)},
		Closed: []*Closed{{Bookings: 1000, BookingMicros: 50, RefusalMicros: 25}},
	}
	r.summarize()
	r.check()
	return r
}

func TestChecks(t *testing.T) {
	if r := sample(); !r.Passed() {
		t.Errorf("good report: %v", r.Checks)
	}
	for what, spoil := range map[string]func(r *Report, a *Arm){
		"goodput at 10 times": func(_ *Report, a *Arm) { a.at(10).OfCapacity = 0.85 },
		"p99 of who is":       func(_ *Report, a *Arm) { a.at(10).P99Millis = 50 },
		"goodput 5 s after":   func(_ *Report, a *Arm) { a.Rounds[0].Fall.Share = 0.94 },
		"bookings 5 s after":  func(_ *Report, a *Arm) { a.Rounds[0].Storm.Known = false },
		"server CPU of a":     func(r *Report, _ *Arm) { r.Closed[0].RefusalMicros = 31 },
		"runs in which the":   func(_ *Report, a *Arm) { a.Rounds[0].Steps[0].Invalid = "late" },
	} {
		r := sample()
		spoil(r, r.Arms[1])
		r.Checks = nil
		r.check()
		for _, c := range r.Checks {
			if c.Passed == strings.HasPrefix(c.What, what) {
				t.Errorf("%s is spoilt: %v", what, c)
			}
		}
		if r.Passed() {
			t.Errorf("%s is spoilt, and all is well", what)
		}
	}
	if (&Report{}).Passed() {
		t.Error("nothing measured, and all is well")
	}
}

// TestRoundsTogether: rates and times are the medians, counts are sums, and a
// round that ended early spoils nothing.
func TestRoundsTogether(t *testing.T) {
	step := func(multiple, goodput, p99 float64, booked int64) *Step {
		return &Step{
			Multiple: multiple, Goodput: goodput, P99Millis: p99, Booked: booked, Outcomes: map[string]int64{"201": booked},
			Measured: Measured{LatenessP99Millis: goodput / 100},
		}
	}
	recovered := func(share float64) *Fall { return &Fall{Recovery: Recovery{Share: share, Known: true}} }
	a := &Arm{Rounds: []*Round{
		{Steps: []*Step{step(1, 900, 30, 1), step(2, 100, 7, 4)}, Fall: recovered(0.9)},
		{Steps: []*Step{step(1, 800, 10, 2), step(2, 300, 5, 8)}, Fall: recovered(1)},
		{Steps: []*Step{step(1, 700, 20, 4)}, Fall: recovered(0.2)},
	}}
	r := &Report{Arms: []*Arm{a, {Name: "not begun"}}}
	r.summarize()
	one, two := a.at(1), a.at(2)
	if len(a.Steps) != 2 || one.Goodput != 800 || one.P99Millis != 20 || one.Booked != 7 || one.Outcomes["201"] != 7 ||
		one.LatenessP99Millis != 9 || two.Goodput != 200 || two.P99Millis != 6 || two.Booked != 12 {
		t.Errorf("%+v and %+v of %d", one, two, len(a.Steps))
	}
	if least, most := a.spread(1, func(s *Step) float64 { return s.Goodput }); least != 700 || most != 900 {
		t.Errorf("goodput from %g to %g", least, most)
	}
	of := func(round *Round) Recovery { return round.Fall.Recovery }
	if share, known := a.recovered(of); share != 0.9 || !known {
		t.Errorf("recovered %g, %v", share, known)
	}
	a.Rounds[2].Fall.Known = false
	if _, known := a.recovered(of); known {
		t.Error("a round whose recovery was not watched")
	}
}

func TestReportIsWritten(t *testing.T) {
	r := sample()
	golden(t, "report.txt", r.WriteTable)
	golden(t, "report.svg", r.WriteSVG)
	var encoded, picture bytes.Buffer
	if err := errors.Join(r.WriteJSON(&encoded), r.WritePNG(&picture)); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(encoded.Bytes(), &back); err != nil || back.Arms[1].Steps[6].Goodput != 970 {
		t.Errorf("JSON: %v", err)
	}
	image, err := png.Decode(&picture)
	if err != nil {
		t.Fatal(err)
	}
	found := map[colour]int{}
	for y := range image.Bounds().Dy() {
		for x := range image.Bounds().Dx() {
			red, green, blue, _ := image.At(x, y).RGBA()
			found[colour(red>>8<<16|green>>8<<8|blue>>8)]++
		}
	}
	for name, c := range armColours {
		if found[c] < 1000 {
			t.Errorf("%d pixels %s", found[c], name)
		}
	}
	if image.Bounds().Dx() != 2*chartWidth || found[ink] < 1000 {
		t.Errorf("picture of %v with %d pixels of ink", image.Bounds(), found[ink])
	}
}

// golden compares what is written with a file of testdata; SVG must be XML.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".svg") {
		if err := xml.Unmarshal(got.Bytes(), new(struct{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs; -rewrite writes it again:\n%s", name, got.Bytes())
	}
}
