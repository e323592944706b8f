package admission

import (
	"net/netip"
	"strings"
	"testing"
)

var testProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

func testClients(t testing.TB, h Header) *Clients {
	c, err := NewClients(h, testProxies)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddressOfTheClient(t *testing.T) {
	const proxy = "10.0.0.1"
	for _, c := range []struct {
		header       Header
		remote, want string
		lines        string
	}{
		{XForwardedFor, "192.0.2.7", "192.0.2.7", "X-Forwarded-For: 198.51.100.1"}, // no proxy: not believed
		{XForwardedFor, proxy, proxy, ""},
		{XForwardedFor, proxy, "198.51.100.1", "X-Forwarded-For: 198.51.100.1"},
		{XForwardedFor, "::ffff:10.0.0.1", "198.51.100.1", "x-forwarded-for:198.51.100.1"},
		{XForwardedFor, proxy, "198.51.100.1", "X-Forwarded-For: 1.1.1.1, garbage\", 198.51.100.1"},
		{XForwardedFor, proxy, "198.51.100.1", "X-Forwarded-For: 1.1.1.1,198.51.100.1 , 10.2.3.4,fd00::1"},
		{XForwardedFor, proxy, "198.51.100.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.1"},
		{XForwardedFor, proxy, "198.51.100.1", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 10.0.0.2"},
		{XForwardedFor, proxy, "198.51.100.1", "X-Forwarded-For: 198.51.100.1:4711"},
		{XForwardedFor, proxy, "2001:db8::1", "X-Forwarded-For: 2001:db8::1"},
		{XForwardedFor, proxy, "2001:db8::1", "X-Forwarded-For: [2001:db8::1]:4711"},
		{XForwardedFor, proxy, proxy, "X-Forwarded-For: 198.51.100.1, unknown"},
		{XForwardedFor, proxy, proxy, "X-Forwarded-For: 198.51.100.1,"},
		{XForwardedFor, proxy, "10.0.0.9", "X-Forwarded-For: 1.1.1.1, nonsense, 10.0.0.9"},
		{XForwardedFor, proxy, proxy, "X-Forwarded-For: fe80::1%eth0"},
		{XForwardedFor, proxy, proxy, "X-Forwarded-For: [198.51.100.1]"},
		{XForwardedFor, proxy, proxy, "X-Forwarded-For: 198.51.100.1:port"},
		{XForwardedFor, proxy, proxy, "X-Forwarded-For: 0198.51.100.1"},
		{XForwardedFor, proxy, proxy, "Forwarded: for=198.51.100.1"},
		{XForwardedFor, proxy, proxy, "Y-X-Forwarded-For: 198.51.100.1"},
		{XForwardedFor, proxy, "10.0.0.4", "X-Forwarded-For: 1.1.1.1" + strings.Repeat(", 10.0.0.4", 50)},
		{Forwarded, proxy, "198.51.100.1", "Forwarded: for=198.51.100.1"},
		{Forwarded, proxy, "198.51.100.1", "Forwarded: for=1.1.1.1, For=198.51.100.1;proto=https;by=203.0.113.4"},
		{Forwarded, proxy, "2001:db8::1", `forwarded: proto=http;for="[2001:db8::1]:4711"`},
		{Forwarded, proxy, "198.51.100.1", `Forwarded: for="x, for=198.51.100.1`},
		{Forwarded, proxy, "198.51.100.1", `Forwarded: for=198.51.100.1;host="a,b"`},
		{Forwarded, proxy, proxy, `Forwarded: for=198.51.100.1;host="a;b"`},
		{Forwarded, proxy, proxy, `Forwarded: for=198.51.100.1;host="a\",b"`},
		{Forwarded, proxy, proxy, "Forwarded: for=_hidden"},
		{Forwarded, proxy, proxy, "Forwarded: for=198.51.100.1;for=198.51.100.2"},
		{Forwarded, proxy, proxy, "Forwarded: for=198.51.100.1:80"},
		{Forwarded, proxy, proxy, "Forwarded: proto=https"},
		{Forwarded, proxy, proxy, "Forwarded: for=198.51.100.1;nonsense"},
		{Forwarded, proxy, proxy, "X-Forwarded-For: 198.51.100.1"},
	} {
		head := []byte("GET / HTTP/1.1\r\nHost: x\r\n" + c.lines + "\r\n\r\n")
		got := testClients(t, c.header).Address(netip.MustParseAddr(c.remote), head)
		if got != netip.MustParseAddr(c.want) {
			t.Errorf("%s from %s: %v, not %s", c.lines, c.remote, got, c.want)
		}
	}
}

func TestClientsWantHeaderAndProxiesTogether(t *testing.T) {
	if _, err := NewClients(XForwardedFor, nil); err == nil {
		t.Error("a header without proxies was accepted")
	}
	if _, err := NewClients(NoHeader, testProxies); err == nil {
		t.Error("proxies without a header were accepted")
	}
	if _, err := NewClients(NoHeader, nil); err != nil {
		t.Error(err)
	}
	if _, err := NewClients(Forwarded, []netip.Prefix{{}}); err == nil {
		t.Error("an invalid network was accepted")
	}
}

// FuzzAddressBehindProxy: whatever stands in front of the proxy's own entry,
// it is the proxy's entry that counts.
func FuzzAddressBehindProxy(f *testing.F) {
	f.Add(uint8(XForwardedFor), "1.1.1.1", " ")
	f.Add(uint8(XForwardedFor), "1.1.1.1, \\\"", "")
	f.Add(uint8(Forwarded), `for="[2001:db8::1]:80", for="`, " ")
	f.Add(uint8(Forwarded), `for=1.1.1.1;host="a,b`, "\t")
	f.Fuzz(func(t *testing.T, header uint8, front, blank string) {
		h := XForwardedFor
		own := "198.51.100.1"
		if Header(header) == Forwarded {
			h, own = Forwarded, `for="198.51.100.1";proto=https`
		}
		if strings.ContainsAny(front, "\n") || strings.Trim(blank, " \t") != "" {
			return
		}
		name := [...]string{XForwardedFor: "X-Forwarded-For: ", Forwarded: "Forwarded: "}[h]
		head := []byte("GET / HTTP/1.1\r\n" + name + front + "," + blank + own + "\r\n\r\n")
		got := testClients(t, h).Address(netip.MustParseAddr("10.0.0.1"), head)
		if got != netip.MustParseAddr("198.51.100.1") {
			t.Errorf("%q: %v", head, got)
		}
	})
}

// FuzzHead: nothing that reads a head panics, or takes an address from
// somebody who is no proxy.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nX-Forwarded-For: [::1]:80\r\nForwarded: for=\"[::1]\"\r\nAccept-Language: ko\r\n\r\n"))
	f.Add([]byte("\nauthorization:\n\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		languageOf(head)
		field(head, authorization)
		stranger := netip.MustParseAddr("192.0.2.1")
		for _, h := range []Header{XForwardedFor, Forwarded} {
			c := testClients(t, h)
			if !c.Address(netip.MustParseAddr("10.0.0.1"), head).IsValid() {
				t.Errorf("%q: no address", head)
			}
			if got := c.Address(stranger, head); got != stranger {
				t.Errorf("%q: %v", head, got)
			}
		}
	})
}
