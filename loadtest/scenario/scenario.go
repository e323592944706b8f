// Package scenario says who comes to an opening, when, and how they behave:
// YAML files for people to write, checked in full before anything is sent.
//
// A scenario is about people, not requests: how many requests they send follows
// from what they do and from what they are answered. The number in the file is
// what the people of the file come to about, and what a run with another
// number is scaled by: half the requests, half the people, half the sites,
// in half the time, at the same rates.
//
// Built in are "smoke", for seconds; "opening-2021-07-19", the evening on
// which ten million requests came at 20:00 (six million people, of whom a
// quarter was eligible), its three hours compressed to ten minutes; and
// "fairness", in which 200,000 people wait in a line that begins with a draw,
// drop out, come back, lose what they were given, and the server is killed and
// the campaign paused under them.
//
// # On paper: a country of a billion
//
// India, 28 April 2021, 16:00: 383 million hits and 8 million registrations in
// three hours. That is 35,500 requests/s on average, and if the rush was shaped
// like the one above, with a peak of four times the average, 142,000/s. What
// one machine of two cores offers and serves at once, loader and server
// together, is what the run above does; the figure to put in is its goodput
// line, on the machine in question. With r requests/s that a server of its own
// machine carries at a processor load of one half, the plan is:
//
//	servers that decide  = registrations at the peak / bookings per second of one
//	                     = 8e6 / 10800 s * 4 = 2,963/s: one, and its standbys
//	servers that answer  = 142,000 / r, rounded up, and half as many again
//	loaders              = 142,000 / (what one loader offers on one core), rounded up
//
// With r = 40,000/s and 60,000/s from a loader that is six machines that answer,
// one of which decides, and three that load. The decisions are no reason for
// more machines; the reads are, and they can be served by standbys and caches:
// the line and the availability are the same for everybody. More campaigns, of
// a state each, spread over more servers that decide. The connections are the
// other limit: at 15,000 a loader process, 300,000 people who keep one each
// need twenty processes.
//
// # Not protected against
//
// A scenario is a guess at how people behave. It does not say what would have
// happened with other people, and the built-in numbers are drawn from newspaper
// reports and not from logs.
package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

//go:embed builtin/*.yaml
var builtin embed.FS

// Scenario is one scenario, checked.
type Scenario struct {
	Name     string   `yaml:"scenario"`
	About    string   `yaml:"about"`
	Requests int64    `yaml:"requests"` // that the people send, about
	People   int      `yaml:"people"`
	Eligible float64  `yaml:"eligible"` // share of the people
	Duration Duration `yaml:"duration"` // in which they come
	Opening  Duration `yaml:"opening"`  // after the start
	Curve    []Point  `yaml:"curve"`

	Campaign   Campaign   `yaml:"campaign"`
	Behaviour  Behaviour  `yaml:"behaviour"`
	Operator   Operator   `yaml:"operator"`
	Client     Client     `yaml:"client"`
	Thresholds Thresholds `yaml:"thresholds"`
}

// Point is how many come at a time, relative to the other points. Between
// points it goes in straight lines; two at the same time make a step.
type Point struct {
	At   Duration `yaml:"at"`
	Rate float64  `yaml:"rate"`
}

// Campaign is what there is to book.
type Campaign struct {
	Sites    int           `yaml:"sites"`    // of the sample campaign's, at most
	Capacity int           `yaml:"capacity"` // of a slot
	Days     int           `yaml:"days"`
	Hold     Duration      `yaml:"hold"`
	Pass     Duration      `yaml:"pass"` // how long a turn is good for before it is asked for again; 0: the server's preset
	Line     CampaignsLine `yaml:"line"`
}

// CampaignsLine is how the campaign lets people wait.
type CampaignsLine struct {
	Enabled     bool     `yaml:"enabled"`
	OpensBefore Duration `yaml:"opens_before"`
	Order       string   `yaml:"order"` // draw or arrival
}

// Behaviour is what people do: shares from 0 to 1, and times.
type Behaviour struct {
	LooksAtSites float64 `yaml:"looks_at_sites"` // sites near home, first of all
	LooksAtSlots float64 `yaml:"looks_at_slots"` // what a site has left, else a guess
	Elsewhere    float64 `yaml:"elsewhere"`      // goes to another site than the nearest
	Holds        float64 `yaml:"holds"`          // before booking
	Abandons     float64 `yaml:"abandons"`       // a hold, and never books
	Releases     float64 `yaml:"releases"`       // a hold, and picks anew
	Changes      float64 `yaml:"changes"`        // the booking, later
	Cancels      float64 `yaml:"cancels"`        // the booking, later
	Leaves       float64 `yaml:"leaves"`         // the line, while waiting
	Returns      float64 `yaml:"returns"`        // of those who left: joins again after a while
	NoShows      float64 `yaml:"no_shows"`       // waits for a number, and never comes when it is called
	Late         float64 `yaml:"late"`           // comes in a while after the number was called
	LosesTicket  float64 `yaml:"loses_ticket"`   // the ticket or the pass, whenever one is told, and signs in again
	Reloads      float64 `yaml:"reloads"`        // asks again what they have, or sooner than told
	SecondDevice float64 `yaml:"second_device"`  // does the same on two devices at once
	Bots         float64 `yaml:"bots"`           // tries forged credentials

	Away     Duration `yaml:"away"`     // of those who return or come late, on average
	Think    Duration `yaml:"think"`    // between one step and the next, on average
	Tries    int      `yaml:"tries"`    // of slots, before giving up
	Retries  int      `yaml:"retries"`  // of a request that was refused or not answered
	Patience Duration `yaml:"patience"` // with one request
}

// Operator is what is done to the server, which has to be one that was started
// for the run. Times count from when the first people come.
type Operator struct {
	AdmitPerMinute float64    `yaml:"admit_per_minute"` // numbers called; 0: as many as the server carries
	Pauses         []Pause    `yaml:"pauses"`           // in their order
	Kills          []Duration `yaml:"kills"`            // SIGKILL, and a start behind it; in their order
}

// Acts says whether the operator does anything.
func (o *Operator) Acts() bool { return o.AdmitPerMinute > 0 || len(o.Pauses) > 0 || len(o.Kills) > 0 }

// Pause is a time in which the campaign is paused.
type Pause struct {
	At  Duration `yaml:"at"`
	For Duration `yaml:"for"`
}

// Client is how the crowd reaches the server.
type Client struct {
	Connections int `yaml:"connections"` // at most, at once
	PerConn     int `yaml:"per_connection"`
}

// Thresholds are what a run must keep. Zero: not asked for.
type Thresholds struct {
	OfferedShare float64  `yaml:"offered_share"` // of the requests, in time; below it the run is not valid
	LatenessP99  Duration `yaml:"lateness_p99"`  // of the loader; above it the run is not valid
	BookingP99   Duration `yaml:"booking_p99"`   // from the intended start
	RefusedShare float64  `yaml:"refused_share"` // of the answers: 429 and 503, at most
	FailedShare  float64  `yaml:"failed_share"`  // of the requests: no answer, at most
	BookedShare  float64  `yaml:"booked_share"`  // of the eligible, at least
}

// Duration is a time.Duration written as 90s, 10m or 1h30m.
type Duration time.Duration

// UnmarshalYAML reads a duration.
func (d *Duration) UnmarshalYAML(text []byte) error {
	value, err := time.ParseDuration(strings.Trim(strings.TrimSpace(string(text)), `"'`))
	if err != nil || value < 0 {
		return fmt.Errorf("%q is no duration: it has the form 500ms, 90s, 10m or 1h30m", text)
	}
	*d = Duration(value)
	return nil
}

// MarshalYAML writes a duration as it is read.
func (d Duration) MarshalYAML() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Of is the duration.
func (d Duration) Of() time.Duration { return time.Duration(d) }

// ErrScenario refuses what is no scenario.
var ErrScenario = errors.New("bad scenario")

// Names lists the scenarios that are built in.
func Names() []string {
	files, err := fs.Glob(builtin, "builtin/*.yaml")
	if err != nil {
		panic(err) // of the pattern
	}
	for i := range files {
		files[i] = strings.TrimSuffix(path.Base(files[i]), ".yaml")
	}
	return files
}

// Load reads the scenario built in under that name, or else the file.
func Load(name string) (*Scenario, error) {
	if slices.Contains(Names(), name) {
		source, err := builtin.ReadFile("builtin/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("read scenario: %w", err)
		}
		return Parse(name, source)
	}
	source, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q is neither a file nor built in (%s)", ErrScenario, name, strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(name, source)
}

const sourceMax = 1 << 20

// Parse reads a scenario. Errors name the file, the place and the remedy.
func Parse(name string, source []byte) (*Scenario, error) {
	if len(source) > sourceMax {
		return nil, fmt.Errorf("%w: %s: %d bytes, at most %d", ErrScenario, name, len(source), sourceMax)
	}
	s := &Scenario{}
	if err := yaml.UnmarshalWithOptions(source, s, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScenario, name, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScenario, name, err)
	}
	return s, nil
}

// check names everything that is out of bounds.
func (s *Scenario) check() error {
	var faults []error
	within := func(field string, value, low, high float64) {
		if math.IsNaN(value) || value < low || value > high {
			faults = append(faults, fmt.Errorf("%s: %v is not from %v to %v", field, value, low, high))
		}
	}
	seconds := func(d Duration) float64 { return d.Of().Seconds() }
	if s.Name == "" {
		faults = append(faults, errors.New("scenario: the name is missing"))
	}
	within("requests", float64(s.Requests), 1, 1e9)
	within("people", float64(s.People), 1, 1e8)
	within("eligible", s.Eligible, 0, 1)
	within("duration (seconds)", seconds(s.Duration), 1, 86_400)
	within("opening (seconds)", seconds(s.Opening), 0, seconds(s.Duration))
	within("campaign.sites", float64(s.Campaign.Sites), 1, 2500)
	within("campaign.capacity", float64(s.Campaign.Capacity), 1, 1000)
	within("campaign.days", float64(s.Campaign.Days), 1, 60)
	within("campaign.hold (seconds)", seconds(s.Campaign.Hold), 10, 3600)
	if o := s.Campaign.Line.Order; o != "draw" && o != "arrival" && (o != "" || s.Campaign.Line.Enabled) {
		faults = append(faults, fmt.Errorf("campaign.line.order: %q is none of draw, arrival", o))
	}
	if s.Campaign.Pass != 0 {
		within("campaign.pass (seconds)", seconds(s.Campaign.Pass), 1, 86_400)
	}
	b := &s.Behaviour
	for _, share := range []struct {
		name  string
		value float64
	}{
		{"looks_at_sites", b.LooksAtSites},
		{"looks_at_slots", b.LooksAtSlots},
		{"elsewhere", b.Elsewhere},
		{"holds", b.Holds},
		{"abandons", b.Abandons},
		{"releases", b.Releases},
		{"changes", b.Changes},
		{"cancels", b.Cancels},
		{"leaves", b.Leaves},
		{"returns", b.Returns},
		{"no_shows", b.NoShows},
		{"late", b.Late},
		{"loses_ticket", b.LosesTicket},
		{"reloads", b.Reloads},
		{"second_device", b.SecondDevice},
		{"bots", b.Bots},
	} {
		within("behaviour."+share.name, share.value, 0, 1)
	}
	within("behaviour.away (seconds)", seconds(b.Away), 0, 600)
	within("behaviour.think (seconds)", seconds(b.Think), 0.001, 600)
	within("behaviour.tries", float64(b.Tries), 1, 50)
	within("behaviour.retries", float64(b.Retries), 0, 50)
	within("behaviour.patience (seconds)", seconds(b.Patience), 0.1, 600)
	within("client.connections", float64(s.Client.Connections), 1, 15_000)
	within("client.per_connection", float64(s.Client.PerConn), 0, 1e9)
	for name, share := range map[string]float64{
		"offered_share": s.Thresholds.OfferedShare, "refused_share": s.Thresholds.RefusedShare,
		"failed_share": s.Thresholds.FailedShare, "booked_share": s.Thresholds.BookedShare,
	} {
		within("thresholds."+name, share, 0, 1)
	}
	within("operator.admit_per_minute", s.Operator.AdmitPerMinute, 0, 10_000_000)
	faults = append(faults, s.checkOperator()...)
	return errors.Join(append(faults, s.checkCurve()...)...)
}

func (s *Scenario) checkOperator() (faults []error) {
	var last Duration
	for i, kill := range s.Operator.Kills {
		if kill > s.Duration || i > 0 && kill <= last {
			faults = append(faults, fmt.Errorf("operator.kills: %v is behind the duration, or not behind the one before it", kill.Of()))
		}
		last = kill
	}
	last = 0
	for i, p := range s.Operator.Pauses {
		if p.For <= 0 || p.At+p.For > s.Duration || i > 0 && p.At <= last {
			faults = append(faults, fmt.Errorf("operator.pauses: the one at %v for %v is empty, ends behind the duration, or begins before the one before it has ended", p.At.Of(), p.For.Of()))
		}
		last = p.At + p.For
	}
	return faults
}

func (s *Scenario) checkCurve() (faults []error) {
	var area float64
	for i, p := range s.Curve {
		if math.IsNaN(p.Rate) || p.Rate < 0 || p.Rate > 1e9 {
			faults = append(faults, fmt.Errorf("curve: rate %v at %v is not from 0 to 1e9", p.Rate, p.At.Of()))
		}
		if i == 0 {
			continue
		}
		if p.At < s.Curve[i-1].At {
			faults = append(faults, fmt.Errorf("curve: the point at %v is behind the one at %v", p.At.Of(), s.Curve[i-1].At.Of()))
		}
		area += (p.At - s.Curve[i-1].At).Of().Seconds() * (p.Rate + s.Curve[i-1].Rate) / 2
	}
	switch {
	case len(s.Curve) < 2:
		faults = append(faults, errors.New("curve: it needs two points or more"))
	case s.Curve[len(s.Curve)-1].At > s.Duration:
		faults = append(faults, errors.New("curve: its last point is behind the duration"))
	case !(area > 0):
		faults = append(faults, errors.New("curve: nobody comes"))
	}
	return faults
}

// durationMin is as short as a scaled run gets: below it a curve is no curve.
const durationMin = 15 * time.Second

// Scaled returns the scenario for another number of requests: as many times the
// people, the sites and the time, so that the rates stay, the operator's as well.
func (s *Scenario) Scaled(requests int64) *Scenario {
	if requests <= 0 || requests == s.Requests {
		return s
	}
	by := float64(requests) / float64(s.Requests)
	scaled := *s
	scaled.Requests = requests
	scaled.People = max(1, int(math.Round(float64(s.People)*by)))
	scaled.Operator.AdmitPerMinute *= by
	scaled.Campaign.Sites = min(2500, max(1, int(math.Round(float64(s.Campaign.Sites)*by))))
	length := max(float64(durationMin), float64(s.Duration)*by)
	return scaled.Lasting(time.Duration(min(length, float64(24*time.Hour))))
}

// Lasting returns the scenario compressed or stretched to another duration.
func (s *Scenario) Lasting(duration time.Duration) *Scenario {
	lasting := *s
	by := float64(duration) / float64(s.Duration)
	stretch := func(d Duration) Duration { return Duration(float64(d) * by) }
	lasting.Duration, lasting.Opening = Duration(duration), stretch(s.Opening)
	lasting.Campaign.Line.OpensBefore = stretch(s.Campaign.Line.OpensBefore)
	lasting.Curve = slices.Clone(s.Curve)
	for i := range lasting.Curve {
		lasting.Curve[i].At = min(stretch(lasting.Curve[i].At), lasting.Duration)
	}
	lasting.Operator.AdmitPerMinute /= by
	lasting.Operator.Kills = slices.Clone(s.Operator.Kills)
	for i := range lasting.Operator.Kills {
		lasting.Operator.Kills[i] = stretch(lasting.Operator.Kills[i])
	}
	lasting.Operator.Pauses = slices.Clone(s.Operator.Pauses)
	for i, p := range lasting.Operator.Pauses {
		lasting.Operator.Pauses[i] = Pause{stretch(p.At), stretch(p.For)}
	}
	return &lasting
}
