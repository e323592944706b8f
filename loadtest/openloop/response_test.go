//go:build linux

package openloop

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseTakes(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		status int
		body   string
	}{
		"body":         {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		"no reason":    {"HTTP/1.1 201\r\nContent-Length: 0\r\n\r\n", 201, ""},
		"no content":   {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		"not modified": {"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 17\r\n\r\n", 304, ""},
		"chunks":       {"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\nB\r\n0123456789x\r\n0\r\n\r\n", 200, "abc0123456789x"},
		"no chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""},
		"any case":     {"HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:2\r\n\r\nok", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := range len(c.answer) {
				var a Answer
				if size, state := parse([]byte(c.answer[:cut]), &a); state != partial {
					t.Fatalf("the first %d bytes: state %d, size %d", cut, state, size)
				}
			}
			var a Answer
			size, state := parse([]byte(c.answer+"behind"), &a)
			if state != whole || size != len(c.answer) || a.Status != c.status || string(a.Body) != c.body {
				t.Errorf("state %d, size %d of %d, status %d, body %q", state, size, len(c.answer), a.Status, a.Body)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, answer := range map[string]string{
		"HTTP/1.0":               "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":                "SSH-2.0-OpenSSH\r\n\r\n",
		"interim":                "HTTP/1.1 100 Continue\r\n\r\n",
		"status of two digits":   "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"status out of range":    "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
		"status of four digits":  "HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
		"no length":              "HTTP/1.1 200 OK\r\n\r\n",
		"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"length with a sign":     "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
		"length out of range":    "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nx",
		"length and chunks":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"other coding":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"bare LF":                "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
		"bare CR":                "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
		"folded field":           "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"space before the colon": "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
		"no colon":               "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
		"no name":                "HTTP/1.1 200 OK\r\n: 0\r\n\r\n",
		"chunk size of nothing":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"chunk extension":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
		"chunk too long":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n123456789\r\n",
		"chunk without its end":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
		"trailer":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
		"endless head":           "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headMax),
	} {
		t.Run(name, func(t *testing.T) {
			var a Answer
			if size, state := parse([]byte(answer), &a); state != odd {
				t.Errorf("state %d, size %d, %+v", state, size, a)
			}
		})
	}
}

func TestParseFields(t *testing.T) {
	var a Answer
	_, state := parse([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 17\r\nETag: \"x y\"\r\n"+
		"Connection: Close\r\nX-Other: \t a b \r\nContent-Length: 0\r\n\r\n"), &a)
	if state != whole || !a.HasRetry || a.RetryAfter != 17*time.Second || string(a.ETag) != `"x y"` || !a.Closes {
		t.Errorf("state %d, %+v", state, a)
	}
	if got := string(a.Field("x-OTHER")); got != "a b" {
		t.Errorf("field %q", got)
	}
	if got := a.Field("X-Missing"); got != nil {
		t.Errorf("missing field %q", got)
	}
	a = Answer{}
	_, state = parse([]byte("HTTP/1.1 503 Odd\r\nRetry-After: Mon, 19 Jul 2021 20:00:00 GMT\r\nContent-Length: 0\r\n\r\n"), &a)
	if state != whole || a.HasRetry || a.Closes {
		t.Errorf("with a date: state %d, %+v", state, a)
	}
}

// FuzzParse holds that no answer is whole before its last byte, and that what
// this parser takes, the one of net/http takes for the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 3)
	f.Add([]byte("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"), 20)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 50)
	f.Add([]byte("HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, answer []byte, cut int) {
		var a Answer
		size, state := parse(bytes.Clone(answer), &a)
		if state != whole {
			return
		}
		if size > len(answer) || len(a.Body) > size {
			t.Fatalf("size %d of %d, body of %d", size, len(answer), len(a.Body))
		}
		if 0 <= cut && cut < size {
			var b Answer
			if _, state := parse(bytes.Clone(answer[:cut]), &b); state != partial {
				t.Fatalf("state %d of the first %d bytes of %q", state, cut, answer)
			}
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
		if err != nil {
			// It checks values that don't frame the answer more closely than this package.
			if strings.Contains(err.Error(), "malformed MIME header") {
				return
			}
			t.Fatalf("net/http: %v of %q", err, answer)
		}
		body, err := io.ReadAll(theirs.Body)
		_ = theirs.Body.Close()
		if err != nil || theirs.StatusCode != a.Status || !bytes.Equal(body, a.Body) {
			t.Fatalf("net/http: status %d, body %q, %v; here %d, %q", theirs.StatusCode, body, err, a.Status, a.Body)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	answer := []byte("HTTP/1.1 201 Created\r\nServer: weir\r\nDate: Mon, 19 Jul 2021 20:00:00 GMT\r\n" +
		"Content-Type: application/json\r\nContent-Length: 39\r\nCache-Control: no-store\r\n\r\n" +
		`{"code":"7K2QF-93TMD","state":"booked"}`)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		var a Answer
		if _, state := parse(answer, &a); state != whole {
			b.Fatal(state)
		}
	}
}
