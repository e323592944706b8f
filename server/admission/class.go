package admission

import "bytes"

// Class is how much a request matters to whoever sends it, and so how late it
// is refused. The zero value is the lowest. Which classes write to the journal
// is part of the order: a slow disk sheds those alone.
type Class uint8

// The classes, lowest first.
const (
	Page         Class = iota // pages, definitions, and all that cannot be told
	Availability              // sites, slots, the feeds for partners
	Line                      // the public object of the line, and who is eligible
	Join                      // taking a place in line or giving it up; writes
	Place                     // one's own place: this is how a turn is taken up
	Hold                      // taking and releasing holds; writes
	Book                      // booking, confirming a hold, changing a booking; writes
	Own                       // one's own bookings
	Cancel                    // cancelling, which makes room for others; writes
	Classes                   // how many there are
)

var classNames = [Classes]string{
	Page: "page", Availability: "availability", Line: "line", Join: "join", Place: "place",
	Hold: "hold", Book: "book", Own: "own", Cancel: "cancel",
}

// String returns the class's name in metrics.
func (c Class) String() string {
	if c < Classes {
		return classNames[c]
	}
	return "unknown"
}

// Writes tells whether requests of the class append to the journal.
func (c Class) Writes() bool {
	return 1<<c&(1<<Join|1<<Hold|1<<Book|1<<Cancel) != 0
}

const campaigns = "/v1/campaigns/"

// Classify reads the class of a request off its first line, which may be
// anything at all. It never errs upwards: a target that is encoded, absolute,
// cut off or followed by something else than HTTP/1 is a Page.
func Classify(head []byte) Class {
	method, path, ok := requestLine(head)
	if !ok {
		return Page
	}
	if len(path) < len(campaigns) || string(path[:len(campaigns)]) != campaigns {
		if len(path) > len("/fhir/") && string(path[:len("/fhir/")]) == "/fhir/" {
			return reading(method, Availability)
		}
		return Page
	}
	path = path[len(campaigns):]
	slash := bytes.IndexByte(path, '/')
	if slash < 1 {
		return Page
	}
	return classifyCampaign(method, path[slash+1:])
}

// classifyCampaign is Classify for what stands behind the campaign's name.
func classifyCampaign(method, rest []byte) Class {
	switch string(rest) {
	case "bookings":
		return only(method, "POST", Book)
	case "bookings/me":
		return reading(method, Own)
	case "holds":
		return only(method, "POST", Hold)
	case "line":
		return max(reading(method, Line), only(method, "POST", Join))
	case "line/me":
		return max(reading(method, Place), only(method, "DELETE", Join))
	case "sites", "slots", "feed":
		return reading(method, Availability)
	case "eligibility":
		return reading(method, Line)
	}
	if name, ok := bytes.CutPrefix(rest, []byte("bookings/")); ok {
		return classifyBooking(method, name)
	}
	if name, ok := bytes.CutPrefix(rest, []byte("holds/")); ok && isSegment(name) {
		return only(method, "DELETE", Hold)
	}
	return Page
}

// classifyBooking is Classify for one booking and what belongs to it.
func classifyBooking(method, name []byte) Class {
	if code, ok := bytes.CutSuffix(name, []byte("/calendar.ics")); ok && isSegment(code) {
		return reading(method, Own)
	}
	if !isSegment(name) {
		return Page
	}
	return max(only(method, "PATCH", Book), only(method, "DELETE", Cancel))
}

func isSegment(b []byte) bool { return len(b) > 0 && bytes.IndexByte(b, '/') < 0 }

func reading(method []byte, c Class) Class {
	if string(method) == "GET" || string(method) == "HEAD" {
		return c
	}
	return Page
}

func only(method []byte, name string, c Class) Class {
	if string(method) == name {
		return c
	}
	return Page
}

// requestLine takes "METHOD /path?query HTTP/1.x" apart. The path is without
// its query. Nothing is looked at past targetMax bytes.
func requestLine(head []byte) (method, path []byte, ok bool) {
	if len(head) > targetMax {
		head = head[:targetMax]
	}
	space := bytes.IndexByte(head[:min(len(head), methodMax+1)], ' ')
	if space < 1 || space+1 >= len(head) || head[space+1] != '/' {
		return nil, nil, false
	}
	method, path = head[:space], head[space+1:]
	end := bytes.IndexByte(path, ' ')
	if end < 0 || !bytes.HasPrefix(path[end+1:], []byte("HTTP/1.")) {
		return nil, nil, false
	}
	path = path[:end]
	if query := bytes.IndexByte(path, '?'); query >= 0 {
		path = path[:query]
	}
	return method, path, true
}

const (
	methodMax = 7       // bytes; OPTIONS is the longest that there is a route for
	targetMax = 4 << 10 // bytes of the head that are looked at for the request line
)
