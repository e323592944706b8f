package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func get(t testing.TB, url, credential string) *answer {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	must(t, err)
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	must(t, err)
	return readAnswer(t, res)
}

func TestStages(t *testing.T) {
	s := parts(t, nil)
	s.listen()
	s.srv.SetStage("recovering", 40*time.Second)
	a := s.do("GET", "/v1/campaigns", "", "").want(503, "starting")
	if retry := a.header.Get("Retry-After"); len(retry) != 2 {
		t.Fatalf("Retry-After %q with 40 s to go", retry)
	}
	ready := get(t, "http://"+s.admin+"/readyz", "")
	if ready.status != 503 || ready.text("stage") != "recovering" || ready.value("ready") != false || ready.number("eta_seconds") < 1 {
		t.Fatalf("readyz: %d %s", ready.status, ready.body)
	}
	if live := get(t, "http://"+s.admin+"/livez", ""); live.status != 200 {
		t.Fatalf("livez: %d", live.status)
	}
	s.attach()
	s.srv.SetStage("recovering", 0) // too late to matter
	s.do("GET", "/v1/campaigns", "", "").want(200, "")
	if ready := get(t, "http://"+s.admin+"/readyz", ""); ready.status != 200 || ready.value("ready") != true {
		t.Fatalf("readyz: %d %s", ready.status, ready.body)
	}
}

// TestNotice: a server that is not in earnest says so to who asks whether it
// is ready, in every stage; others say nothing.
func TestNotice(t *testing.T) {
	doc, err := described()
	must(t, err)
	readiness := doc.Components.Schemas["Readiness"].Value
	for _, notice := range []string{"", `only "trying"`} {
		s := parts(t, func(c *Config) { c.Notice = notice })
		s.listen()
		for _, status := range []int{503, 200} {
			a := get(t, "http://"+s.admin+"/readyz", "")
			got, there := a.fields["notice"]
			if a.status != status || there != (notice != "") || there && got != notice {
				t.Errorf("notice %q: %d %s", notice, a.status, a.body)
			}
			must(t, readiness.VisitJSON(a.fields))
			for name := range a.fields {
				if readiness.Properties[name] == nil {
					t.Errorf("%s is not described", name)
				}
			}
			if status == 503 {
				s.attach()
			}
		}
	}
}

// TestShutdownAnswersWhatIsInFlight stops the server while a booking waits for
// the journal: it is answered, new connections are refused, idle ones closed,
// and /readyz says so meanwhile.
func TestShutdownAnswersWhatIsInFlight(t *testing.T) {
	s := newStand(t, nil)
	idle := dial(t, s.public)
	send(t, idle, "GET /v1/campaigns HTTP/1.1\r\nHost: a\r\n\r\n")
	readHead(t, idle)

	waiting, release := s.journal.hold()
	booked := make(chan *answer, 1)
	go func() { booked <- s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)) }()
	<-waiting
	down := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		down <- s.srv.Shutdown(ctx)
	}()
	waitFor(t, "new connections to be refused", func() bool {
		conn, err := net.Dial("tcp", s.public)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if n, err := idle.Read(make([]byte, 1)); err == nil {
		t.Fatalf("the idle connection got %d bytes", n)
	}
	if ready := get(t, "http://"+s.admin+"/readyz", ""); ready.status != 503 || ready.text("stage") != "draining" {
		t.Fatalf("readyz: %d %s", ready.status, ready.body)
	}
	select {
	case err := <-down:
		t.Fatalf("shut down before the booking was answered: %v", err)
	default:
	}
	release()
	if a := (<-booked).want(201, ""); a.text("slot") != slotA9 {
		t.Fatalf("booked: %s", a.body)
	}
	must(t, <-down)
}

func TestShutdownPastItsDeadline(t *testing.T) {
	s := parts(t, nil)
	s.listen()
	s.attach()
	waiting, release := s.journal.hold()
	defer release()
	conn := dial(t, s.public)
	send(t, conn, rawBooking(s.pass("kim"), slotBody(slotA9)))
	<-waiting
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("shutdown: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatal("the connection is still open")
	}
}

func TestServeEndsWhenAListenerFails(t *testing.T) {
	s := parts(t, nil)
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	broken := &scriptListener{script: []error{errors.New("beyond help")}}
	if err := s.srv.Serve(broken, admin); err == nil || !strings.Contains(err.Error(), "beyond help") {
		t.Fatalf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", admin.Addr().String()); err == nil {
		t.Fatal("the admin listener is still open")
	}
	must(t, s.srv.Shutdown(context.Background()))
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, s.srv.Serve(other, &scriptListener{}))
}

func rawBooking(pass, body string) string {
	return "POST " + small + "/bookings HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + pass +
		"\r\nContent-Type: application/json\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func itoa(n int) string { return string(appendInt(nil, int64(n))) }

func TestPanicsAreContained(t *testing.T) {
	s := newStand(t, nil)
	healthy := s.srv.attached.Load()
	s.srv.attached.Store(&attached{}) // without an engine every handler panics
	a := s.do("GET", "/v1/campaigns", "", "").want(500, "internal")
	if a.header.Get("Connection") != "close" && s.srv.metrics.panics.Get() != 1 {
		t.Fatalf("headers %v, %d panics", a.header, s.srv.metrics.panics.Get())
	}
	s.srv.attached.Store(healthy)
	s.do("GET", "/v1/campaigns", "", "").want(200, "")
	if s.srv.inFlight.Load() != 0 {
		t.Fatalf("%d in flight", s.srv.inFlight.Load())
	}
	s.stop()
	if log := s.log.String(); !strings.Contains(log, "handler panicked") {
		t.Fatalf("log: %s", log)
	}
}
