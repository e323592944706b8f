//go:build linux

package overload

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"weir/loadtest/openloop"
)

// Report is what was measured and what was found. Rates are per second.
type Report struct {
	Started  time.Time `json:"started"`
	Cores    int       `json:"cores"`
	Share    float64   `json:"cpu_share"` // of one CPU that a server had
	Settings Settings  `json:"settings"`
	Closed   []*Closed `json:"closed"` // of each round
	Arms     []*Arm    `json:"arms"`
	Checks   []Check   `json:"checks"`
}

// Settings are the options that matter to who reads the figures.
type Settings struct {
	StepSeconds        float64 `json:"step_seconds"`
	SettleSeconds      float64 `json:"settle_seconds"`
	AfterSeconds       float64 `json:"after_seconds"`
	PatienceSeconds    float64 `json:"patience_seconds"`
	ConnectWaitSeconds float64 `json:"connect_wait_seconds"`
	Connections        int     `json:"connections"` // 0: in proportion to the capacity
}

// Arm is one of the servers that are compared.
type Arm struct {
	Name   string   `json:"name"`
	Args   []string `json:"args,omitempty"` // of weir serve, beside the usual ones
	Rounds []*Round `json:"rounds"`
	Steps  []*Step  `json:"steps"` // of the rounds together
}

// Round is all loads on one server.
type Round struct {
	Steps []*Step `json:"steps"`
	Fall  *Fall   `json:"fall"`
	Storm *Storm  `json:"storm"`
}

// Measured is what is known of any run.
type Measured struct {
	Seconds           float64 `json:"seconds"`
	ServerCPUSeconds  float64 `json:"server_cpu_seconds"`
	LoaderCPUSeconds  float64 `json:"loader_cpu_seconds"`
	LatenessP99Millis float64 `json:"lateness_p99_ms"` // the loader's own
	ConnectionsPeak   int64   `json:"connections_peak"`
	Invalid           string  `json:"invalid,omitempty"` // why not to trust the run
}

// Step is one load. What is counted was due behind the settling; Booked and CPU
// are of the whole run. Of rounds together rates and times are the medians, the
// rest are sums, and of lateness and connections the most.
type Step struct {
	Multiple   float64          `json:"multiple"`
	Offered    float64          `json:"offered"`
	Goodput    float64          `json:"goodput"`     // booked within 2 s of being due
	OfCapacity float64          `json:"of_capacity"` // goodput
	P50Millis  float64          `json:"p50_ms"`      // from due to booked
	P99Millis  float64          `json:"p99_ms"`
	Outcomes   map[string]int64 `json:"outcomes"` // by status and code, or what failed
	Booked     int64            `json:"booked"`
	Measured
}

// Recovery is goodput behind an overload, as a share of what is due.
type Recovery struct {
	Shares []float64 `json:"shares"` // by the second
	Share  float64   `json:"share"`  // the mean from 5 s on
	Known  bool      `json:"known"`  // it was watched for longer than 5 s
}

// Fall is a surge and the usual load behind it.
type Fall struct {
	Multiple float64 `json:"multiple"`
	Recovery
	Measured
}

// Storm is a pulse of load and people who ask again.
type Storm struct {
	People   int64 `json:"people"`
	Requests int64 `json:"requests"`
	Booked   int64 `json:"booked"`
	Left     int64 `json:"left"` // people who gave up for good

	Outcomes map[string]int64 `json:"outcomes"` // of bookings asked for behind the pulse, by status and code, or what failed
	Pages    map[string]int64 `json:"pages"`    // the same of the pages that were loaded between them
	Recovery
	Measured
}

// counted is how long a step is counted, in seconds.
func (s *Settings) counted() float64 { return s.StepSeconds - s.SettleSeconds }

func newReport(o *Options) *Report {
	return &Report{
		Started: time.Now(), Cores: runtime.NumCPU(), Share: o.Share,
		Settings: Settings{
			StepSeconds: o.Step.Seconds(), SettleSeconds: o.Settle.Seconds(), AfterSeconds: o.After.Seconds(),
			PatienceSeconds: o.Patience.Seconds(), ConnectWaitSeconds: o.ConnectWait.Seconds(),
			Connections: o.Connections,
		},
	}
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// WriteTable writes it for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := &table{Writer: tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	t.line("closed loops, with %.3f of a CPU:", r.Share)
	for _, c := range r.Closed {
		t.line("%s", c)
	}
	for _, a := range r.Arms {
		t.arm(a)
	}
	t.shed(r)
	t.line("")
	for _, c := range r.Checks {
		t.line("%s", c)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// table writes lines. Its errors stick until the last Flush.
type table struct{ *tabwriter.Writer }

func (t *table) line(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }

func (t *table) arm(a *Arm) {
	t.line("\n%s, medians of %d (in brackets the least and the most)", a.Name, len(a.Rounds))
	t.line("offered\t/s\tgoodput/s\tof capacity\t\tp50 ms\tp99 ms\t\tserver CPU\tµs/booking\tloader late ms\t")
	for _, s := range a.Steps {
		goodputLeast, goodputMost := a.spread(s.Multiple, func(s *Step) float64 { return s.OfCapacity })
		p99Least, p99Most := a.spread(s.Multiple, func(s *Step) float64 { return s.P99Millis })
		t.line("%gx\t%.0f\t%.0f\t%.2f\t(%.2f–%.2f)\t%.1f\t%.1f\t(%.0f–%.0f)\t%.4f\t%.1f\t%.2f\t",
			s.Multiple, s.Offered, s.Goodput, s.OfCapacity, goodputLeast, goodputMost,
			s.P50Millis, s.P99Millis, p99Least, p99Most, s.ServerCPUSeconds/s.Seconds, s.microsEach(), s.LatenessP99Millis)
	}
	_ = t.Flush() // what follows has no columns
	for _, s := range a.Steps {
		t.line("%gx: %s", s.Multiple, outcomesText(s.Outcomes))
	}
	for _, round := range a.Rounds {
		if round.Fall != nil {
			t.line("%s", round.Fall)
		}
		if round.Storm != nil {
			t.line("%s", round.Storm)
		}
	}
	for _, why := range a.invalid() {
		t.line("invalid: %s", why)
	}
}

// shed tells what it saves to shed below HTTP.
func (t *table) shed(r *Report) {
	if len(r.Arms) == 0 {
		return
	}
	arm := r.Arms[len(r.Arms)-1]
	s := arm.at(surge)
	_, refusal := r.prices()
	if s == nil || refusal == 0 {
		return
	}
	shed := s.Outcomes[openloop.Unconnected.String()]
	cpuSeconds := r.Share * r.Settings.counted() * float64(len(arm.Rounds))
	t.line("\nat %gx %d of %d found no connection, at no cost to the server; to refuse them as well would take %.1f times its CPU",
		s.Multiple, shed, s.ended(), float64(shed)*refusal/1e6/cpuSeconds)
}

func (s *Step) String() string {
	return fmt.Sprintf("%gx: %.0f/s offered, goodput %.0f/s, p99 %.1f ms; %s", s.Multiple, s.Offered, s.Goodput, s.P99Millis, outcomesText(s.Outcomes))
}

func (f *Fall) String() string {
	return fmt.Sprintf("behind %gx, goodput of what is offered: %s", f.Multiple, f.Recovery)
}

func (s *Storm) String() string {
	return fmt.Sprintf("storm of %d requests of %d people (%d booked, %d left), behind the pulse, goodput of those who come: %s; %s; pages: %s",
		s.Requests, s.People, s.Booked, s.Left, s.Recovery, outcomesText(s.Outcomes), outcomesText(s.Pages))
}

func (r Recovery) String() string {
	return fmt.Sprintf("%s by the second; %.3f from the sixth on", sharesText(r.Shares), r.Share)
}

// ended is how many requests the outcomes are of.
func (s *Step) ended() (n int64) {
	for _, of := range s.Outcomes {
		n += of
	}
	return n
}

// microsEach is the server's CPU a booking, with all that was refused in it.
func (s *Step) microsEach() float64 {
	if s.Booked == 0 {
		return 0
	}
	return s.ServerCPUSeconds * 1e6 / float64(s.Booked)
}

func sharesText(shares []float64) string {
	texts := make([]string, len(shares))
	for i, share := range shares {
		texts[i] = fmt.Sprintf("%.2f", share)
	}
	return strings.Join(texts, " ")
}

func outcomesText(outcomes map[string]int64) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		texts = append(texts, fmt.Sprintf("%s: %d", name, outcomes[name]))
	}
	return strings.Join(texts, ", ")
}
