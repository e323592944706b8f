package admission

import (
	"bytes"
	"fmt"
	"net/netip"
	"unsafe"
)

// Header is where the proxies in front write the client's address.
type Header uint8

// The headers. Only the one that the proxies write themselves may be chosen:
// they pass the other on as the client sent it.
const (
	NoHeader      Header = iota // no proxy in front
	XForwardedFor               // X-Forwarded-For
	Forwarded                   // Forwarded, RFC 7239
)

// Clients finds out who a request comes from. Safe for concurrent use.
type Clients struct {
	header  Header
	proxies []netip.Prefix
}

// NewClients takes the word of these proxies, in this header.
func NewClients(h Header, proxies []netip.Prefix) (*Clients, error) {
	if h > Forwarded {
		return nil, fmt.Errorf("admission: no header %d", h)
	}
	if (h == NoHeader) != (len(proxies) == 0) {
		return nil, fmt.Errorf("admission: trusted proxies and the header that they write are named together or not at all")
	}
	for _, p := range proxies {
		if !p.IsValid() {
			return nil, fmt.Errorf("admission: invalid network of a trusted proxy")
		}
	}
	return &Clients{header: h, proxies: proxies}, nil
}

// hopsMax bounds the proxies that a request may have passed. One more, and the
// last of them counts as the client.
const hopsMax = 8

// Trusts tells whether addr is a trusted proxy.
func (c *Clients) Trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range c.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Address is the address of the client: remote itself unless that is a trusted
// proxy, and then the right-most address in the header that is none. It reads
// from the right and stops there, so that what a client wrote in front is
// never believed, and not even looked at. Where an entry is no address, the
// proxy that passed it on stands for everyone who sends such.
func (c *Clients) Address(remote netip.Addr, head []byte) netip.Addr {
	client := remote.Unmap().WithZone("")
	if c.header == NoHeader {
		return client
	}
	list := hops{head: head, header: c.header}
	for range hopsMax {
		if !c.Trusts(client) {
			return client
		}
		hop, ok := list.previous()
		if !ok {
			return client
		}
		client = hop
	}
	return client
}

// hops walks the entries of all lines of a header from the last to the first.
type hops struct {
	head   []byte // lines that were not looked at yet
	line   []byte // entries left of the present line
	inLine bool
	header Header
}

// previous returns the address before the one returned last. It is false when
// there is none, or none that can be read.
func (h *hops) previous() (netip.Addr, bool) {
	for !h.inLine {
		if !h.previousLine() {
			return netip.Addr{}, false
		}
	}
	entry, ok := h.cutEntry()
	if !ok {
		return netip.Addr{}, false
	}
	if h.header == Forwarded {
		return forwardedFor(entry)
	}
	return parseHop(entry)
}

// previousLine finds the last line of the header that is left.
func (h *hops) previousLine() bool {
	name := headerNames[h.header]
	for {
		end := bytes.LastIndexByte(h.head, '\n')
		if end < 0 {
			return false // this was the request line
		}
		line := h.head[end+1:]
		h.head = h.head[:end]
		if len(line) > len(name) && line[len(name)] == ':' && isName(line[:len(name)], name) {
			h.line, h.inLine = line[len(name)+1:], true
			return true
		}
	}
}

var headerNames = [...]string{XForwardedFor: "x-forwarded-for", Forwarded: "forwarded"}

// cutEntry takes the last entry off the line: what stands behind the last
// comma that is not in quotes. Escapes within quotes, which no address needs,
// are not read.
func (h *hops) cutEntry() ([]byte, bool) {
	quoted := false
	for i := len(h.line) - 1; i >= 0; i-- {
		switch b := h.line[i]; {
		case b == '\\':
			return nil, false
		case b == '"':
			quoted = !quoted
		case b == ',' && !quoted:
			entry := h.line[i+1:]
			h.line = h.line[:i]
			return entry, true
		}
	}
	h.inLine = false
	return h.line, !quoted
}

// forwardedFor returns the address that an element of Forwarded names in its
// one "for" parameter. A semicolon in quotes, which no proxy has reason to
// write, is not understood.
func forwardedFor(element []byte) (netip.Addr, bool) {
	var value []byte
	for more := true; more; {
		var pair []byte
		pair, element, more = bytes.Cut(element, []byte{';'})
		name, v, ok := bytes.Cut(bytes.Trim(pair, " \t\r"), []byte{'='})
		if !ok {
			return netip.Addr{}, false
		}
		if len(name) == len("for") && isName(name, "for") {
			if value != nil {
				return netip.Addr{}, false
			}
			value = v
		}
	}
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return parseHop(value[1 : n-1])
	}
	if bytes.IndexByte(value, ':') >= 0 { // RFC 7239, 6: these must be quoted
		return netip.Addr{}, false
	}
	return parseHop(value)
}

const hopTextMax = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")

// parseHop reads an address, with a port or without: 192.0.2.1,
// 192.0.2.1:4711, 2001:db8::1, [2001:db8::1], [2001:db8::1]:4711.
func parseHop(text []byte) (netip.Addr, bool) {
	text = bytes.Trim(text, " \t\r")
	if len(text) == 0 || len(text) > hopTextMax {
		return netip.Addr{}, false
	}
	host, bracketed := text, text[0] == '['
	if bracketed {
		end := bytes.IndexByte(text, ']')
		if end < 0 || !isPort(text[end+1:]) {
			return netip.Addr{}, false
		}
		host = text[1:end]
	} else if colon := bytes.IndexByte(text, ':'); colon >= 0 && colon == bytes.LastIndexByte(text, ':') {
		if !isPort(text[colon:]) {
			return netip.Addr{}, false
		}
		host = text[:colon]
	}
	return parseHost(host, bracketed)
}

func parseHost(host []byte, bracketed bool) (netip.Addr, bool) {
	if len(host) == 0 || bytes.IndexByte(host, '%') >= 0 { // a zone means nothing here
		return netip.Addr{}, false
	}
	// A string of its own would be an allocation a request. ParseAddr keeps its
	// argument only in its error, and in the zone, of which there is none.
	addr, err := netip.ParseAddr(unsafe.String(&host[0], len(host)))
	if err != nil || bracketed && !addr.Is6() {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// isPort accepts nothing, or a colon with one to five digits.
func isPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) < 2 || len(b) > 6 {
		return false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
