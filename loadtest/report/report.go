// Package report is what a run of the load test came to: figures for programs
// (JSON), for the terminal, and as one page of HTML with pictures that needs
// nothing else and can be read on paper.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"weir/loadtest/judge"
)

// Version is the version of the JSON form.
const Version = 1

// Report is one run.
type Report struct {
	Version  int       `json:"version"`
	Scenario string    `json:"scenario"`
	About    string    `json:"about"`
	Seed     uint64    `json:"seed"`
	Started  time.Time `json:"started"`
	Machine  Machine   `json:"machine"`

	People    int     `json:"people"`
	Eligible  int     `json:"eligible"`
	Places    int     `json:"places"`
	OpensAt   float64 `json:"opens_at_seconds"` // since the start
	Seconds   float64 `json:"seconds"`          // from the first request to the last answer
	WholeTime float64 `json:"whole_seconds"`    // with setting up and judging

	Requests  int64 `json:"requests"`  // planned
	Offered   int64 `json:"offered"`   // of these, in time
	Answered  int64 `json:"answered"`  //
	Failed    int64 `json:"failed"`    // without an answer
	Refused   int64 `json:"refused"`   // 429 and 503
	Booked    int64 `json:"booked"`    // bookings that were made
	Cancelled int64 `json:"cancelled"` //

	Lateness Quantiles `json:"lateness_ms"` // of the loader itself
	Wait     Quantiles `json:"wait_ms"`     // for a connection
	Routes   []Route   `json:"routes"`
	Outcomes []Outcome `json:"outcomes"`
	Samples  []Sample  `json:"samples"` // one a second
	Kills    []Kill    `json:"kills,omitempty"`
	Pauses   []Pause   `json:"pauses,omitempty"`
	Stalls   []Pause   `json:"stalls,omitempty"` // of the loader itself
	Server   Usage     `json:"server"`
	Client   Usage     `json:"client"`

	Invalid    string         `json:"invalid,omitempty"` // why the run proves nothing; empty: it is valid
	Thresholds []Threshold    `json:"thresholds"`
	Verdict    *judge.Verdict `json:"verdict,omitempty"` // nil: not judged
	Violations []string       `json:"violations,omitempty"`
}

// Machine is where it ran.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// Quantiles are of a distribution, in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Route is one kind of request.
type Route struct {
	Name     string    `json:"name"`
	Due      int64     `json:"due"`
	Answers  int64     `json:"answers"`
	Failures int64     `json:"failures"`
	Latency  Quantiles `json:"latency_ms"` // from the intended start
	Curve    []Rank    `json:"curve,omitempty"`
}

// Rank is a point of a latency curve by percentile.
type Rank struct {
	Percentile   float64 `json:"percentile"`
	Milliseconds float64 `json:"ms"`
}

// Outcome is how often a kind of request ended so.
type Outcome struct {
	Kind    string `json:"kind"`
	Outcome string `json:"outcome"`
	Status  int    `json:"status"`
	Count   int64  `json:"count"`
}

// Sample is what was seen at one second of the run. Counts are since the start.
type Sample struct {
	At        float64 `json:"at"` // seconds since the start
	Planned   int64   `json:"planned"`
	Answered  int64   `json:"answered"`
	Failed    int64   `json:"failed"`
	Refused   int64   `json:"refused"`
	Came      int64   `json:"came"`
	Gone      int64   `json:"gone"`
	Joined    int64   `json:"joined"`
	Admitted  int64   `json:"admitted"`
	Booked    int64   `json:"booked"`
	Cancelled int64   `json:"cancelled"`
	Full      int64   `json:"full"`
	InFlight  int64   `json:"in_flight"`
	Waiting   int64   `json:"waiting"` // for a connection
	Open      int64   `json:"open"`    // connections

	Latencies  int64   `json:"latencies"`
	LatencySum float64 `json:"latency_sum"` // seconds, from when each was due

	Issued   int64   `json:"issued"`  // numbers in line
	Serving  int64   `json:"serving"` // of them
	Taken    int64   `json:"taken"`   // places
	CPU      float64 `json:"cpu"`     // seconds that the server used
	RSS      float64 `json:"rss"`     // bytes
	Syncs    float64 `json:"syncs"`
	GCCPU    float64 `json:"gc_cpu"` // seconds of CPU
	Restarts int     `json:"restarts"`
	Latency  *Brief  `json:"latency_ms,omitempty"` // of what was due in this second
}

// Brief is the latency of what was due in one second.
type Brief struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Kill is a time in which the server was down.
type Kill struct {
	From float64 `json:"from"` // seconds since the start
	To   float64 `json:"to"`
}

// Pause is a time in which the operator had paused the campaign, or in which the
// loader stood still.
type Pause struct {
	From float64 `json:"from"` // seconds since the start
	To   float64 `json:"to"`   // 0: to the end
}

// Usage is what a process used.
type Usage struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakRSS    float64 `json:"peak_rss_bytes"`
	Syncs      float64 `json:"syncs,omitempty"`
	GCCPU      float64 `json:"gc_cpu_seconds,omitempty"`
}

// Threshold is one that the scenario asked for.
type Threshold struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Kept bool   `json:"kept"`
}

// ErrReport refuses what is no report.
var ErrReport = errors.New("not a report of a run")

// Passed says that the run is valid, that its thresholds are kept and that the
// judge, where there was one, found nothing and was in no doubt.
func (r *Report) Passed() bool {
	for _, t := range r.Thresholds {
		if !t.Kept {
			return false
		}
	}
	return r.Invalid == "" && (r.Verdict == nil || r.Verdict.Sound())
}

// Write writes the report as JSON.
func (r *Report) Write(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Load reads a report.
func Load(name string) (*Report, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(source, r); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrReport, name, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("%w: %s: version %d, this program reads %d", ErrReport, name, r.Version, Version)
	}
	return r, nil
}
