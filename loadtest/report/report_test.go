package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"weir/loadtest/judge"
	"weir/loadtest/openloop"
)

func sampleReport() *Report {
	r := &Report{
		Version: Version, Scenario: "smoke", About: "a <small> opening", Started: time.Unix(1626692400, 0).UTC(),
		People: 100, Eligible: 25, Places: 40, OpensAt: 3, Seconds: 10, Requests: 200, Offered: 199, Answered: 190, Failed: 10,
		Booked: 20, Routes: []Route{
			{Name: "join", Due: 100, Answers: 100, Latency: Quantiles{P50: 1, P99: 5}, Curve: []Rank{{0, 0.5}, {50, 1}, {99, 5}, {100, 9}}},
			{Name: "leave"},
		},
		Kills: []Kill{{4, 4.5}}, Verdict: &judge.Verdict{},
		Thresholds: []Threshold{{Name: "99 % of bookings within", Want: "2s", Got: "5ms", Kept: true}},
	}
	for i := range 10 {
		r.Samples = append(r.Samples, Sample{At: float64(i), Planned: int64(20 * i), Booked: int64(2 * i), Latency: &Brief{P50: 1, P99: 5, Max: 9}})
	}
	return r
}

func TestPassed(t *testing.T) {
	for name, spoil := range map[string]func(*Report){
		"not valid":            func(r *Report) { r.Invalid = "the loader was late" },
		"a threshold":          func(r *Report) { r.Thresholds[0].Kept = false },
		"a violation":          func(r *Report) { r.Verdict.Counts = map[string]int64{"lost": 1} },
		"undecided":            func(r *Report) { r.Verdict.Undecided = []string{"slot 3"} },
		"a file that ends too": func(r *Report) { r.Verdict.Cut = true },
	} {
		r := sampleReport()
		if !r.Passed() {
			t.Fatal("the sound report did not pass")
		}
		if spoil(r); r.Passed() {
			t.Errorf("passed with %s", name)
		}
	}
}

func TestWrittenIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "report.json")
	var out bytes.Buffer
	if err := errors.Join(sampleReport().Write(&out), os.WriteFile(name, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := Load(name)
	if err != nil || r.Requests != 200 || len(r.Samples) != 10 || !r.Passed() {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "{", `{"version":99}`, "[]"} {
		if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(name); !errors.Is(err, ErrReport) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPageIsWholeAndEscaped(t *testing.T) {
	var page strings.Builder
	r := sampleReport()
	r.Violations = []string{"<script>"}
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{"Arrivals against bookings", "Goodput", "Latency over time", "Latency by percentile", "The line", "Availability", "a &lt;small&gt; opening", "killed", "opening"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "http") {
		t.Error("the page runs something, refers to something or has no numbers somewhere")
	}
	if strings.Count(text, "<svg") != strings.Count(text, "</svg>") || strings.Count(text, "<svg") != len(r.charts()) {
		t.Error("pictures are missing")
	}
}

// TestThePictureIsAnSVGOfItsOwn: well formed, escaped, and of numbers alone.
func TestThePictureIsAnSVGOfItsOwn(t *testing.T) {
	empty := &Report{About: `<&"`}
	for _, r := range []*Report{sampleReport(), empty} {
		var picture strings.Builder
		if err := r.Picture(&picture); err != nil {
			t.Fatal(err)
		}
		texts, paths := 0, 0
		for in := xml.NewDecoder(strings.NewReader(picture.String())); ; {
			token, err := in.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, picture.String())
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
				texts++
			} else if ok && e.Name.Local == "path" {
				paths++
			}
		}
		if texts < pictureCharts || r != empty && paths < pictureCharts || strings.Contains(picture.String(), "NaN") {
			t.Errorf("%d texts and %d paths in %s", texts, paths, picture.String())
		}
	}
}

func TestEmptyReportHasAPageToo(t *testing.T) {
	var page, text strings.Builder
	r := &Report{}
	if err := errors.Join(r.HTML(&page), r.Print(&text)); err != nil || strings.Contains(page.String(), "NaN") {
		t.Errorf("%v", err)
	}
}

func TestCompare(t *testing.T) {
	a, b := sampleReport(), sampleReport()
	b.Routes[0].Latency.P99, b.People = 10, 200
	var out strings.Builder
	if err := Compare(&out, a, b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"join, ms p99", "2.00", "compare with care"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestHistogramsCanBeReadAgain(t *testing.T) {
	h := hdrhistogram.New(1, 1e9, 3)
	for i := range 1000 {
		if err := h.RecordValue(int64(i + 1)); err != nil {
			t.Fatal(err)
		}
	}
	result := &openloop.Result{Elapsed: time.Second, Lateness: hdrhistogram.New(1, 1e9, 3), Labels: []openloop.LabelResult{{Name: "own place", Latency: h}}}
	var out bytes.Buffer
	if err := WriteHistograms(&out, time.Unix(1626692400, 0), result); err != nil {
		t.Fatal(err)
	}
	read, err := hdrhistogram.NewHistogramLogReader(&out).NextIntervalHistogram()
	if err != nil || read.TotalCount() != 1000 || read.Tag() != "own_place" {
		t.Errorf("%+v, %v", read, err)
	}
}

func TestRoundSteps(t *testing.T) {
	for x, want := range map[float64]float64{1: 1, 1.1: 2, 2.1: 5, 6: 10, 0.03: 0.05, 1234: 2000} {
		if got := roundStep(x); math.Abs(got-want) > want/1e6 {
			t.Errorf("the step for %v is %v, want %v", x, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for v, want := range map[any]string{0: "0", int64(999): "999", 1000: "1,000", uint64(1234567): "1,234,567", 315818.6: "315,819"} {
		if got := count(v); got != want {
			t.Errorf("count of %v is %q, want %q", v, got, want)
		}
	}
}
