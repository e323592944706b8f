package admission

import (
	"strings"
	"testing"
)

// surface is every row of the public routes, with the class that it has.
var surface = []struct {
	method, path string
	class        Class
}{
	{"GET", "/v1/campaigns", Page},
	{"GET", "/v1/campaigns/{c}", Page},
	{"GET", "/v1/campaigns/{c}/eligibility", Line},
	{"POST", "/v1/campaigns/{c}/line", Join},
	{"GET", "/v1/campaigns/{c}/line", Line},
	{"GET", "/v1/campaigns/{c}/line/me", Place},
	{"DELETE", "/v1/campaigns/{c}/line/me", Join},
	{"GET", "/v1/campaigns/{c}/sites", Availability},
	{"GET", "/v1/campaigns/{c}/slots", Availability},
	{"POST", "/v1/campaigns/{c}/holds", Hold},
	{"DELETE", "/v1/campaigns/{c}/holds/{hold}", Hold},
	{"POST", "/v1/campaigns/{c}/bookings", Book},
	{"GET", "/v1/campaigns/{c}/bookings/me", Own},
	{"PATCH", "/v1/campaigns/{c}/bookings/{code}", Book},
	{"DELETE", "/v1/campaigns/{c}/bookings/{code}", Cancel},
	{"GET", "/v1/campaigns/{c}/bookings/{code}/calendar.ics", Own},
	{"GET", "/v1/campaigns/{c}/feed", Availability},
	{"GET", "/fhir/$bulk-publish", Availability},
	{"GET", "/", Page},
	{"GET", "/openapi.yaml", Page},
}

func TestClassesOfTheSurface(t *testing.T) {
	fill := strings.NewReplacer("{c}", "kr-2021-50s", "{hold}", "h123", "{code}", "AB12-CD34")
	for _, row := range surface {
		path := fill.Replace(row.path)
		for _, tail := range []string{"", "?site=S&date=2021-08-16", "?"} {
			line := row.method + " " + path + tail + " HTTP/1.1\r\nHost: x\r\n\r\n"
			if got := Classify([]byte(line)); got != row.class {
				t.Errorf("%q is %v, not %v", line, got, row.class)
			}
		}
		if row.method != "GET" {
			continue
		}
		if got := Classify([]byte("HEAD " + path + " HTTP/1.1\r\n")); got != row.class {
			t.Errorf("HEAD %s is %v, not %v", path, got, row.class)
		}
	}
}

func TestWhatCannotBeToldIsLowest(t *testing.T) {
	for _, head := range []string{
		"", " ", "GET", "GET ", "POST /v1/campaigns/a/bookings", "POST /v1/campaigns/a/bookings ",
		"POST /v1/campaigns/a/bookings HTTP/2\r\n", "POST  /v1/campaigns/a/bookings HTTP/1.1\r\n",
		"post /v1/campaigns/a/bookings HTTP/1.1\r\n", "PUT /v1/campaigns/a/bookings HTTP/1.1\r\n",
		"POST http://x/v1/campaigns/a/bookings HTTP/1.1\r\n", "POST /v1/campaigns//bookings HTTP/1.1\r\n",
		"POST /v1/campaigns/a/%62ookings HTTP/1.1\r\n", "POST /v1/campaigns/a/bookings/ HTTP/1.1\r\n",
		"DELETE /v1/campaigns/a/bookings/ HTTP/1.1\r\n", "DELETE /v1/campaigns/a/bookings/x/y HTTP/1.1\r\n",
		"DELETE /v1/campaigns/a/holds/ HTTP/1.1\r\n", "DELETE /v1/campaigns/a/holds HTTP/1.1\r\n",
		"GET /v1/campaigns/a/bookings//calendar.ics HTTP/1.1\r\n", "POST /v1/campaigns/a/b/bookings HTTP/1.1\r\n",
		"GET /fhir HTTP/1.1\r\n", "POST /fhir/x HTTP/1.1\r\n", "DELETE /v1/campaigns/a/line HTTP/1.1\r\n",
		"POST /" + strings.Repeat("v", targetMax) + "/campaigns/a/bookings HTTP/1.1\r\n",
		"\r\nPOST /v1/campaigns/a/bookings HTTP/1.1\r\n",
	} {
		if got := Classify([]byte(head)); got != Page {
			t.Errorf("%.80q is %v", head, got)
		}
	}
}

// FuzzClassify looks for a first line that gets a class above Page without
// being that of a route.
func FuzzClassify(f *testing.F) {
	for _, row := range surface {
		f.Add([]byte(row.method + " " + row.path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	f.Add([]byte("GET /v1/campaigns/a/line?x=/bookings HTTP/1.1"))
	f.Fuzz(func(t *testing.T, head []byte) {
		got := Classify(head)
		if got >= Classes {
			t.Fatalf("class %d", got)
		}
		if want := classifySlowly(string(head)); got != want {
			t.Fatalf("%q is %v, slowly %v", head, got, want)
		}
	})
}

// classifySlowly is the twin: it takes the line apart by segments and looks in
// the table.
func classifySlowly(head string) Class {
	if len(head) > targetMax {
		head = head[:targetMax]
	}
	method, rest, ok := strings.Cut(head, " ")
	if !ok || len(method) > methodMax {
		return Page
	}
	target, protocol, ok := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(protocol, "HTTP/1.") || !strings.HasPrefix(target, "/") {
		return Page
	}
	path, _, _ := strings.Cut(target, "?")
	reads := method == "GET" || method == "HEAD"
	if rest, ok := strings.CutPrefix(path, "/fhir/"); ok && rest != "" && reads {
		return Availability
	}
	segments := strings.Split(path, "/")
	best := Page
	for _, row := range surface {
		if row.method != method && (row.method != "GET" || !reads) {
			continue
		}
		if fits(strings.Split(row.path, "/"), segments) && (best == Page || row.path == path) {
			best = max(best, row.class)
		}
	}
	return best
}

func fits(pattern, segments []string) bool {
	if len(pattern) != len(segments) {
		return false
	}
	for i, p := range pattern {
		if p != segments[i] && (!strings.HasPrefix(p, "{") || segments[i] == "") {
			return false
		}
	}
	return true
}
