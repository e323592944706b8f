//go:build linux

package loader

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	headMax = 16 << 10
	bodyMax = 64 << 20
)

// errOdd is an answer that is no HTTP/1.1 answer of the kind this package reads.
var errOdd = errors.New("odd answer")

// response is one answer at the start of a buffer.
type response struct {
	status int
	body   []byte // aliases the buffer
	size   int    // bytes of head and body
	closes bool   // the server closes the connection behind it
}

// parse reads one answer from the start of buf; false: not all of it is there.
func parse(buf []byte) (r response, whole bool, err error) {
	end := bytes.Index(buf, []byte("\r\n\r\n"))
	if end < 0 {
		if len(buf) > headMax {
			return r, false, fmt.Errorf("%w: a head of more than %d bytes", errOdd, headMax)
		}
		return r, false, nil
	}
	line, headers := cutLine(buf[:end+2])
	if r.status, err = parseStatus(line); err != nil {
		return r, false, err
	}
	length, err := r.parseHeaders(headers)
	if err != nil {
		return r, false, err
	}
	head := end + 4
	r.size = head + length
	if len(buf) < r.size {
		return r, false, nil
	}
	r.body = buf[head:r.size]
	return r, true, nil
}

func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i > 0 && b[i-1] == '\r' {
		return b[:i-1], b[i+1:]
	}
	return b[:i], b[i+1:]
}

// parseStatus reads "HTTP/1.1 201 Created"; the reason may be missing.
func parseStatus(line []byte) (int, error) {
	const version = "HTTP/1.1 "
	ok := len(line) >= len(version)+3 && string(line[:len(version)]) == version &&
		(len(line) == len(version)+3 || line[len(version)+3] == ' ')
	if ok {
		status, digits := parseDigits(line[len(version) : len(version)+3])
		if digits && status >= 200 && status <= 599 {
			return status, nil
		}
	}
	return 0, fmt.Errorf("%w: status line %q", errOdd, shorten(line))
}

// parseHeaders reads the fields that frame the answer and returns the length
// of the body.
func (r *response) parseHeaders(headers []byte) (length int, err error) {
	bodiless := r.status == 204 || r.status == 304
	length = -1
	for len(headers) > 0 {
		var line []byte
		line, headers = cutLine(headers)
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || line[0] == ' ' || line[0] == '\t' {
			return 0, fmt.Errorf("%w: header line %q", errOdd, shorten(line))
		}
		value := bytes.TrimSpace(line[colon+1:])
		switch name := line[:colon]; {
		case is(name, "content-length"):
			if length >= 0 {
				return 0, fmt.Errorf("%w: two Content-Length", errOdd)
			}
			n, digits := parseDigits(value)
			if !digits || n > bodyMax {
				return 0, fmt.Errorf("%w: Content-Length %q", errOdd, shorten(value))
			}
			length = n
		case is(name, "transfer-encoding"):
			return 0, fmt.Errorf("%w: Transfer-Encoding %q", errOdd, shorten(value))
		case is(name, "connection"):
			r.closes = is(value, "close")
		}
	}
	if bodiless {
		return 0, nil
	}
	if length < 0 {
		return 0, fmt.Errorf("%w: status %d without Content-Length", errOdd, r.status)
	}
	return length, nil
}

// is compares in ASCII, with b in either case; lower must be lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func parseDigits(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func shorten(b []byte) []byte { return b[:min(len(b), 80)] }
