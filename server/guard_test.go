package server

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"weir/server/admission"
)

func every(t *testing.T, perSecond float64, burst int) admission.Rate {
	t.Helper()
	r, err := admission.Every(perSecond, burst)
	must(t, err)
	return r
}

// behindProxy limits each address that the proxy on this machine names.
func behindProxy(ipv4, person admission.Rate) func(*Config) {
	limits := admission.DefaultLimits()
	limits.IPv4, limits.Person, limits.Slots = ipv4, person, 1<<10
	return func(c *Config) {
		c.Admission = Admission{
			Limits: limits, Header: admission.XForwardedFor, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		}
	}
}

// TestAddressesAreLimited behind a proxy: whoever asks too often is told so, in
// their language, and nobody else is.
func TestAddressesAreLimited(t *testing.T) {
	s := newStand(t, behindProxy(every(t, 0.01, 3), admission.DefaultLimits().Person))
	from := func(address, language string) *answer {
		return s.do("GET", "/v1/campaigns", "", "", "X-Forwarded-For", "198.51.100.1, "+address, "Accept-Language", language)
	}
	for range 3 {
		from("203.0.113.5", "en").want(200, "")
	}
	a := from("203.0.113.5", "ko").want(429, "too_many_requests")
	if a.text("title") != faults[faultTooMany].title[korean] || a.header.Get("Content-Language") != "ko" {
		t.Errorf("%v %s", a.header, a.body)
	}
	from("203.0.113.6", "en").want(200, "")
	s.do("GET", "/v1/campaigns", "", "").want(200, "") // the proxy itself
}

// TestPersonsAreLimited from whatever address they come.
func TestPersonsAreLimited(t *testing.T) {
	s := newStand(t, behindProxy(admission.DefaultLimits().IPv4, every(t, 0.01, 2)))
	for i := range 4 {
		a := s.do("GET", small+"/eligibility", s.identity("kim", old), "", "X-Forwarded-For", "203.0.113."+strconv.Itoa(i))
		if i < 2 {
			a.want(200, "")
		} else {
			a.want(429, "too_many_requests")
		}
	}
	s.do("GET", small+"/eligibility", s.identity("lee", old), "").want(200, "")
}

// TestAdmissionOff lets everybody through.
func TestAdmissionOff(t *testing.T) {
	s := newStand(t, func(c *Config) {
		c.Admission = Admission{Off: true, Settings: loopSettings()}
		c.Admission.Settings.QueueDelay = time.Nanosecond
	})
	for range 200 {
		s.do("GET", "/v1/campaigns", "", "").want(200, "")
	}
}
