//go:build linux

package openloop

import (
	"bytes"
	"time"
)

const (
	headMax       = 16 << 10
	bodyMax       = 64 << 20
	retryAfterMax = 24 * time.Hour
	unframed      = -1 // no Content-Length
)

// parsed tells how far parse came.
type parsed uint8

const (
	partial parsed = iota // more bytes are needed
	whole
	odd // no answer that this package reads
)

// parse reads one answer from the start of buf into a and returns how many
// bytes it takes. A chunked body is joined in place, so that buf is not what
// it was before.
//
// It takes HTTP/1.1 (RFC 9112) as a careful server sends it, and nothing that
// two readers could understand in two ways: no bare CR or LF, no folded
// fields, no second Content-Length, no Content-Length beside
// Transfer-Encoding, no coding but chunked, no chunk extensions, no trailers,
// no body that ends with the connection, no interim answers.
func parse(buf []byte, a *Answer) (size int, state parsed) {
	end := bytes.Index(buf, []byte("\r\n\r\n"))
	if end < 0 {
		if len(buf) > headMax {
			return 0, odd
		}
		return 0, partial
	}
	head := buf[:end+2]
	frame, ok := a.parseHead(head)
	if !ok || len(head) > headMax {
		return 0, odd
	}
	begin := end + 4
	switch {
	case a.Status == 204 || a.Status == 304:
		a.Body = buf[begin:begin]
		return begin, whole
	case frame.chunked:
		body, taken, state := joinChunks(buf[begin:])
		a.Body = body
		return begin + taken, state
	case frame.length == unframed:
		return 0, odd
	case len(buf)-begin < frame.length:
		return 0, partial
	}
	a.Body = buf[begin : begin+frame.length]
	return begin + frame.length, whole
}

// framing is what the head says of where the body ends.
type framing struct {
	length  int // unframed where it isn't said
	chunked bool
}

// parseHead reads the status line and the fields, each with its CRLF.
func (a *Answer) parseHead(head []byte) (frame framing, ok bool) {
	line, rest, ok := cutLine(head)
	if !ok {
		return frame, false
	}
	if a.Status, ok = parseStatus(line); !ok {
		return frame, false
	}
	a.Head, frame.length = head, unframed
	for len(rest) > 0 {
		if line, rest, ok = cutLine(rest); !ok {
			return frame, false
		}
		name, value, ok := cutField(line)
		if !ok || !a.take(name, value, &frame) {
			return frame, false
		}
	}
	return frame, !frame.chunked || frame.length == unframed
}

// take notes a field that matters here; false: it makes the answer odd.
func (a *Answer) take(name, value []byte, frame *framing) bool {
	switch len(name) { // most fields are none of these, and cost no more than this
	case len("etag"):
		if is(name, "etag") {
			a.ETag = value
		}
	case len("connection"):
		if is(name, "connection") && is(value, "close") {
			a.Closes = true
		}
	case len("retry-after"):
		if is(name, "retry-after") {
			a.takeRetryAfter(value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			n, ok := parseDigits(value)
			if !ok || n > bodyMax || frame.length != unframed {
				return false
			}
			frame.length = n
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			if !is(value, "chunked") || frame.chunked {
				return false
			}
			frame.chunked = true
		}
	}
	return true
}

// takeRetryAfter reads the form in seconds. The other one, a date, is left to
// Field.
func (a *Answer) takeRetryAfter(value []byte) {
	if n, ok := parseDigits(value); ok {
		a.RetryAfter, a.HasRetry = min(time.Duration(n)*time.Second, retryAfterMax), true
	}
}

// joinChunks reads a chunked body from the start of buf. Not before all of it
// is there does it move the chunks together.
func joinChunks(buf []byte) (body []byte, size int, state parsed) {
	size, total, state := measureChunks(buf)
	if state != whole {
		return nil, 0, state
	}
	body = buf[:0]
	for at := 0; len(body) < total; {
		length, data, _ := parseChunkSize(buf[at:])
		body = append(body, buf[at+data:at+data+length]...)
		at += data + length + 2
	}
	return body, size, whole
}

// measureChunks walks over the chunks and returns the bytes that they take
// with and without their framing.
func measureChunks(buf []byte) (size, total int, state parsed) {
	for {
		length, data, state := parseChunkSize(buf[size:])
		if state != whole {
			return 0, 0, state
		}
		total += length
		end := size + data + length
		if total > bodyMax {
			return 0, 0, odd
		}
		if len(buf) < end+2 {
			return 0, 0, partial
		}
		if buf[end] != '\r' || buf[end+1] != '\n' {
			return 0, 0, odd
		}
		size = end + 2
		if length == 0 {
			return size, total, whole
		}
	}
}

// parseChunkSize reads "1f\r\n" and returns the length of the data and where
// it begins.
func parseChunkSize(buf []byte) (length, data int, state parsed) {
	const digitsMax = 8
	for i, c := range buf {
		digit := hexDigit(c)
		switch {
		case digit >= 0 && i < digitsMax:
			length = length<<4 | digit
		case c == '\r' && i > 0:
			if len(buf) == i+1 {
				return 0, 0, partial
			}
			if buf[i+1] != '\n' {
				return 0, 0, odd
			}
			return length, i + 2, whole
		default:
			return 0, 0, odd
		}
	}
	return 0, 0, partial
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// parseStatus reads "HTTP/1.1 201 Created"; the reason may be missing.
func parseStatus(line []byte) (status int, ok bool) {
	const version = "HTTP/1.1 "
	const end = len(version) + 3
	if len(line) < end || string(line[:len(version)]) != version || len(line) > end && line[end] != ' ' {
		return 0, false
	}
	status, ok = parseDigits(line[len(version):end])
	return status, ok && status >= 200 && status <= statusMax
}

// cutLine splits behind the first CRLF. A CR or LF by itself is refused.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\r')
	if i < 0 || i+1 == len(b) || b[i+1] != '\n' || bytes.IndexByte(b[:i], '\n') >= 0 {
		return nil, nil, false
	}
	return b[:i], b[i+2:], true
}

// cutField splits "Name: value". The name is a token, as RFC 9110 has it.
func cutField(line []byte) (name, value []byte, ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, false
	}
	for _, c := range line[:colon] {
		if !isToken[c] {
			return nil, nil, false
		}
	}
	return line[:colon], bytes.Trim(line[colon+1:], " \t"), true
}

var isToken = func() (table [256]bool) {
	const chars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range len(chars) {
		table[chars[i]] = true
	}
	return table
}()

func field(head []byte, name string) []byte {
	_, rest, ok := cutLine(head)
	for ok && len(rest) > 0 {
		var line []byte
		if line, rest, ok = cutLine(rest); !ok {
			return nil
		}
		if key, value, isField := cutField(line); isField && isFold(key, name) {
			return value
		}
	}
	return nil
}

// is compares in ASCII, with b in either case; lower must be lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if toLower(c) != lower[i] {
			return false
		}
	}
	return true
}

// isFold compares in ASCII, both in either case.
func isFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if toLower(c) != toLower(s[i]) {
			return false
		}
	}
	return true
}

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func parseDigits(b []byte) (n int, ok bool) {
	const digitsMax = 9
	if len(b) == 0 || len(b) > digitsMax {
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
