package reactor

import "bytes"

// extent is how far a request reaches, in bytes.
type extent struct {
	line int // of the request line, its line end included
	head int // of the request line and all header lines, the empty one included
	size int // of the whole request
}

type verdict uint8

const (
	partial verdict = iota // more is to come
	whole                  // the request is there
	odd                    // not for a loop to tell
)

var headEnd = []byte("\r\n\r\n")

// bodyDigitsMax bounds the digits of a Content-Length that are looked at.
const bodyDigitsMax = 7

// frame looks for one plain request at the start of b: lines that end in CR LF,
// no transfer coding, no expectation, a body only where the method has one, at
// most one Content-Length, of digits alone. It judges nothing else of it.
// Whatever might be read in two ways is odd. The extent of a request of which
// more is to come has its size where that is known, else 0.
func frame(b []byte) (extent, verdict) {
	var e extent
	if len(b) > 0 && (b[0] < 'A' || b[0] > 'Z') {
		return e, odd
	}
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return e, beginning(b)
	}
	e.head = end + len(headEnd)
	e.line = bytes.IndexByte(b, '\n') + 1
	if b[e.line-2] != '\r' {
		return e, odd
	}
	body, plain := bodyLength(b[e.line : end+2])
	if !plain || body > 0 && !mayHaveBody(b) {
		return e, odd
	}
	e.size = e.head + body
	if e.size > len(b) {
		return e, partial
	}
	return e, whole
}

// beginning judges header lines that are not all there yet.
func beginning(b []byte) verdict {
	for {
		n := bytes.IndexByte(b, '\n')
		switch {
		case n < 0:
			return partial
		case n == 0 || b[n-1] != '\r':
			return odd
		}
		b = b[n+1:]
	}
}

func mayHaveBody(b []byte) bool {
	return bytes.HasPrefix(b, []byte("POST ")) || bytes.HasPrefix(b, []byte("PATCH ")) || bytes.HasPrefix(b, []byte("PUT "))
}

// bodyLength reads the header lines, each of which ends in LF. It returns false
// where they are not plain.
func bodyLength(lines []byte) (length int, plain bool) {
	told := false
	for len(lines) > 0 {
		n := bytes.IndexByte(lines, '\n')
		if n < 1 || lines[n-1] != '\r' {
			return 0, false
		}
		line := lines[:n-1]
		lines = lines[n+1:]
		if len(line) == 0 {
			return 0, false
		}
		switch line[0] | 0x20 {
		case ' ', '\t' | 0x20: // the line before goes on here
			return 0, false
		case 't':
			if named(line, "transfer-encoding") {
				return 0, false
			}
		case 'e':
			if named(line, "expect") {
				return 0, false
			}
		case 'c':
			if !named(line, "content-length") {
				continue
			}
			var ok bool
			if length, ok = digits(line[len("content-length"):]); !ok || told {
				return 0, false
			}
			told = true
		}
	}
	return length, true
}

// named tells whether the line begins with the name, in letters of either case,
// given in small ones.
func named(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}

// digits reads the rest of a Content-Length line.
func digits(rest []byte) (n int, ok bool) {
	if len(rest) == 0 || rest[0] != ':' {
		return 0, false
	}
	rest = bytes.Trim(rest[1:], " ")
	if len(rest) == 0 || len(rest) > bodyDigitsMax {
		return 0, false
	}
	for _, d := range rest {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = 10*n + int(d-'0')
	}
	return n, true
}
