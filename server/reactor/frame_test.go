package reactor

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// framed are requests that begin a piece of bytes, and what frame says of them.
// The first len(request) bytes are the request where it is whole.
var framed = []struct {
	name    string
	request string
	behind  string
	want    verdict
}{
	{"get", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", whole},
	{"no header lines", "GET / HTTP/1.0\r\n\r\n", "", whole},
	{"another one behind", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /other HTTP/1.1\r\nHost: a\r\n\r\n", whole},
	{"post", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "", whole},
	{"post and more", "POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:3\r\n\r\nabc", "GET", whole},
	{"patch, spaces around the length", "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length:   3  \r\n\r\nabc", "", whole},
	{"empty body", "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", whole},
	{"post without a length", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "abc", whole},
	{"absolute form", "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", "", whole},
	{"a field that begins as one that counts", "GET / HTTP/1.1\r\nHost: a\r\nTE: x\r\nConnection: close\r\n\r\n", "", whole},

	{"nothing", "", "", partial},
	{"a method", "GET", "", partial},
	{"no end of the head", "GET / HTTP/1.1\r\nHost: a\r\n", "", partial},
	{"cut in the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\r", "", partial},
	{"half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc", "", partial},
	{"longest body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\nabc", "", partial},

	{"empty line in front", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "", odd},
	{"lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "", odd},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00", "", odd},
	{"HTTP/0.9", "GET /\r\n", "\r\n", whole}, // HTTP's to judge
	{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", odd},
	{"length and chunked", "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", "", odd},
	{"chunked and length", "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", "", odd},
	{"transfer coding behind a space", "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "", odd},
	{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "", odd},
	{"two different lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc", "", odd},
	{"list of lengths", "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", "", odd},
	{"signed length", "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", "", odd},
	{"negative length", "POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", "", odd},
	{"hexadecimal length", "POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\nabc", "", odd},
	{"length with a tab", "POST / HTTP/1.1\r\nContent-Length:\t3\r\n\r\nabc", "", odd},
	{"length with a space inside", "POST / HTTP/1.1\r\nContent-Length: 1 3\r\n\r\nabc", "", odd},
	{"length with a NUL", "POST / HTTP/1.1\r\nContent-Length: 3\x00\r\n\r\nabc", "", odd},
	{"empty length", "POST / HTTP/1.1\r\nContent-Length:\r\n\r\nabc", "", odd},
	{"huge length", "POST / HTTP/1.1\r\nContent-Length: 18446744073709551619\r\n\r\nabc", "", odd},
	{"long length", "POST / HTTP/1.1\r\nContent-Length: 00000003\r\n\r\nabc", "", odd},
	{"space before the colon", "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", "", odd},
	{"length without a colon", "POST / HTTP/1.1\r\nContent-Length\r\n\r\n", "", odd},
	{"folded line", "POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 3\r\n\r\nabc", "", odd},
	{"line folded with a tab", "POST / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", "", odd},
	{"bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "", odd},
	{"bare LF behind a header line", "GET / HTTP/1.1\r\nHost: a\nContent-Length: 3\r\n\r\nabc", "", odd},
	{"bare LF in an unfinished head", "GET / HTTP/1.1\r\nHost: a\n", "", odd},
	{"two bare LF", "GET / HTTP/1.1\r\nHost: a\n\nGET /smuggled HTTP/1.1\r\n\r\n", "", odd},
	{"LF CR LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\n\r\n", odd},
	{"body of a GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "", odd},
	{"expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", "", odd},
}

func TestFrame(t *testing.T) {
	for _, c := range framed {
		e, v := frame([]byte(c.request + c.behind))
		if c.name == "HTTP/0.9" {
			c.request += c.behind
		}
		if v != c.want || v == whole && e.size != len(c.request) {
			t.Errorf("%s: verdict %d, want %d; size %d of %d", c.name, v, c.want, e.size, len(c.request))
		}
		if v == whole && (e.line != strings.IndexByte(c.request, '\n')+1 || e.head != strings.Index(c.request, "\r\n\r\n")+4) {
			t.Errorf("%s: line %d, head %d", c.name, e.line, e.head)
		}
	}
}

// TestFrameOfPieces cuts whole requests at every byte: up to the end they are
// partial, and their size is told as soon as the head is there.
func TestFrameOfPieces(t *testing.T) {
	for _, c := range framed {
		if c.want != whole {
			continue
		}
		text := []byte(c.request + c.behind)
		full, _ := frame(text)
		for n := range full.size {
			e, v := frame(text[:n])
			if v != partial || e.size != 0 && e.size != full.size || n >= full.head && e.size != full.size {
				t.Errorf("%s: %d bytes of %d: verdict %d, size %d", c.name, n, full.size, v, e.size)
			}
		}
	}
}

// FuzzFrame holds frame against the HTTP library: a request that frame calls
// whole, and the library accepts, is as long to both, or Whole tells.
func FuzzFrame(f *testing.F) {
	for _, c := range framed {
		f.Add([]byte(c.request + c.behind))
	}
	for _, text := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nX\rContent-Length: 5\r\n\r\nabcde",
		"POST / HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 5\r\n\r\nabcde",
		"POST / HTTP/1.1\r\nHost: a\r\n\x00Content-Length: 5\r\n\r\nabcde",
		"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\nabcde",
		"POST / HTTP/1.1\r\nHost: a\r\n: 5\r\n\r\nabcde",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9\r\n\r\n--b--\r\n\r\n",
		"PUT / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTrailer: Content-Length\r\nContent-Length: 1\r\n\r\na",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, v := frame(text)
		if v != whole {
			return
		}
		if e.line < 2 || e.head < e.line || e.size < e.head || e.size > len(text) {
			t.Fatalf("extent %+v of %d bytes", e, len(text))
		}
		// The library gets the request and no more, as from a lane.
		from := bytes.NewReader(text[:e.size])
		r := bufio.NewReaderSize(from, len(text)+16)
		var req fasthttp.Request
		if req.Header.Read(r) != nil {
			return
		}
		if req.MayContinue() {
			t.Fatal("an expectation was called plain")
		}
		if req.ContinueReadBody(r, 1<<20, false) != nil {
			return
		}
		read := e.size - from.Len() - r.Buffered()
		var l Lane[int]
		l.extent = e
		same := l.Whole(max(2, len(req.Header.RawHeaders())), len(req.Body()))
		if read == e.size != same {
			t.Fatalf("the library read %d bytes of %d, Whole says %v: %q", read, e.size, same, text)
		}
		// What was found so far is that they never differ.
		if !same || bytes.Contains(req.Header.Peek("Transfer-Encoding"), []byte("chunked")) {
			t.Fatalf("%+v, the library read %d bytes: %q", e, read, text)
		}
	})
}
