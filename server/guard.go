package server

import (
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	"weir/core/event"
	"weir/server/admission"
	"weir/server/reactor"
)

// Admission says who is let through before anything of a request is parsed.
// Its zero value is what suits a campaign of a whole country with no proxy in
// front.
type Admission struct {
	Off      bool               // everybody is let through, up to Limits.InFlight
	Settings admission.Settings // zero: what suits the loops
	Limits   admission.Limits   // zero: admission.DefaultLimits
	Header   admission.Header   // in which trusted proxies name the client
	Proxies  []netip.Prefix     // whose word is taken for that
}

// guard is the server's admission. It is nil where that is off.
type guard struct {
	gate     *admission.Gate
	refusals *admission.Refusals
	limiter  *admission.Limiter
	clients  *admission.Clients
}

func newGuard(a Admission) (*guard, error) {
	if a.Off {
		return nil, nil //nolint:nilnil // no guard is what was asked for
	}
	if a.Settings == (admission.Settings{}) {
		a.Settings = loopSettings()
	}
	if a.Limits == (admission.Limits{}) {
		a.Limits = admission.DefaultLimits()
	}
	g := &guard{}
	var err error
	if g.gate, err = admission.NewGate(a.Settings, loopCount()); err != nil {
		return nil, err
	}
	if g.refusals, err = admission.NewRefusals(refusalBodies()); err != nil {
		return nil, err
	}
	if g.limiter, err = admission.NewLimiter(a.Limits); err != nil {
		return nil, err
	}
	g.clients, err = admission.NewClients(a.Header, a.Proxies)
	return g, err
}

// loopSettings are admission.DefaultSettings for the loops of package reactor.
// A loop that is behind sheds by leaving the oldest unread, so that rests and a
// slow listener have less to do; where connections are shared, as behind a
// proxy, both would only make the next person's request stale. People do not
// mind half a second, and thousands who come at the same moment are served
// within that or a little more: nobody of them is to be refused. Refusing who is
// about to book costs half as much as booking, so that the queue refuses only
// what people can do without for a moment.
func loopSettings() admission.Settings {
	s := admission.DefaultSettings()
	s.QueueDelay = 500 * time.Millisecond
	s.CommitDelay = 500 * time.Millisecond
	s.Spared = admission.Hold
	s.RestMax = 100 * time.Millisecond
	s.AcceptMax = 500 * time.Microsecond
	return s
}

// loopCount is how many loops serve the public listener: one a processor.
func loopCount() int { return runtime.GOMAXPROCS(0) }

// refusalBodies are the documents that writeProblem would send.
func refusalBodies() (b admission.Bodies) {
	for reason, f := range map[admission.Reason]fault{admission.Overloaded: faultOverloaded, admission.TooMany: faultTooMany} {
		b[reason][admission.English] = []byte(string(problemHead[f][english]) + "}")
		b[reason][admission.Korean] = []byte(string(problemHead[f][korean]) + "}")
	}
	return b
}

// guard is what the loops are told to ask.
func (s *Server) loopGuard(l *boundListener) *reactor.Guard {
	if s.guard == nil {
		return nil
	}
	return &reactor.Guard{
		Gate: s.guard.gate, Refusals: s.guard.refusals, Limiter: s.guard.limiter, Clients: s.guard.clients,
		Signals: func() admission.Signals {
			recent := s.recent.Load()
			return admission.Signals{
				CommitDelay:    recent.queue + recent.commit,
				ConnectionFill: float64(l.open.Load()) / float64(l.limit),
			}
		},
	}
}

// tooMany tells whether the person asks more often than one person does.
func (s *Server) tooMany(person event.PersonKey) bool {
	return s.guard != nil && s.guard.limiter.Person(person, time.Since(s.began)) > 0
}

// writeMetrics writes what admission did.
func (g *guard) writeMetrics(w io.Writer) {
	if g == nil {
		return
	}
	counts := g.gate.Counts()
	for c := range admission.Classes {
		_, _ = fmt.Fprintf(w, "weir_admission_requests_total{class=%q} %d\n", c, counts.Offered[c]) // the page is a buffer
		_, _ = fmt.Fprintf(w, "weir_admission_refused_total{class=%q} %d\n", c, counts.Refused[c])
	}
	queue, journal := g.gate.Cuts()
	relief := g.gate.Relief()
	_, _ = fmt.Fprintf(w, "weir_admission_cut{by=\"queue\"} %d\nweir_admission_cut{by=\"journal\"} %d\n", queue, journal)
	_, _ = fmt.Fprintf(w, "weir_admission_rest_seconds %g\nweir_admission_accept_interval_seconds %g\n",
		relief.Rest.Seconds(), relief.AcceptEvery.Seconds())
}
