package server

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// fields are the request headers that matter here, read in one pass. Their
// bytes belong to the request.
type fields struct {
	authorization  []byte
	contentType    []byte
	idempotencyKey []byte
	acceptLanguage []byte
	acceptEncoding []byte
	ifNoneMatch    []byte
	expect         []byte

	authorizations   int
	contentTypes     int
	idempotencyKeys  int
	contentLengths   int
	transferEncoding bool
}

// read takes the fields, which are zero, out of the raw header lines. It refuses with
// faultRequest what the HTTP library lets pass but a proxy in front may read
// differently, which is how requests are smuggled: folded lines, lines ended
// by a bare LF, names with spaces, and a length together with a transfer
// coding.
func (f *fields) read(raw []byte) error {
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return faultRequest
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || line[0] == ' ' || line[0] == '\t' || bytes.IndexByte(line[:colon], ' ') >= 0 {
			return faultRequest
		}
		f.set(line[:colon], bytes.Trim(line[colon+1:], " \t"))
	}
	if f.transferEncoding && f.contentLengths > 0 {
		return faultRequest
	}
	return nil
}

// set keeps one header. Names are told apart by length first: most headers
// are none of these.
func (f *fields) set(name, value []byte) {
	switch len(name) {
	case len(fasthttp.HeaderExpect):
		if is(name, fasthttp.HeaderExpect) {
			f.expect = value
		}
	case len(fasthttp.HeaderContentType):
		if is(name, fasthttp.HeaderContentType) {
			f.contentType = value
			f.contentTypes++
		}
	case len(fasthttp.HeaderAuthorization): // as long as If-None-Match
		if is(name, fasthttp.HeaderAuthorization) {
			f.authorization = value
			f.authorizations++
		} else if is(name, fasthttp.HeaderIfNoneMatch) {
			f.ifNoneMatch = value
		}
	case len(fasthttp.HeaderContentLength):
		if is(name, fasthttp.HeaderContentLength) {
			f.contentLengths++
		}
	case len(idempotencyKeyHeader): // as long as Accept-Encoding and Accept-Language
		switch {
		case is(name, idempotencyKeyHeader):
			f.idempotencyKey = value
			f.idempotencyKeys++
		case is(name, fasthttp.HeaderAcceptEncoding):
			f.acceptEncoding = value
		case is(name, fasthttp.HeaderAcceptLanguage):
			f.acceptLanguage = value
		}
	case len(fasthttp.HeaderTransferEncoding):
		f.transferEncoding = f.transferEncoding || is(name, fasthttp.HeaderTransferEncoding)
	}
}

const idempotencyKeyHeader = "Idempotency-Key"

// is compares a header name, or any ASCII word, without regard to case.
func is(name []byte, word string) bool {
	if len(name) != len(word) {
		return false
	}
	for i, c := range name {
		w := word[i]
		if c != w && (c|0x20 != w|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isJSON tells whether the one Content-Type is application/json; parameters
// such as a charset may follow.
func (f *fields) isJSON() bool {
	kind, _, _ := bytes.Cut(f.contentType, []byte{';'})
	return f.contentTypes == 1 && is(bytes.TrimRight(kind, " \t"), "application/json")
}

// acceptsGzip tells whether the client takes gzip, by the Accept-Encoding
// header: named, or meant by "*", and not with the weight zero.
func (f *fields) acceptsGzip() bool {
	rest := f.acceptEncoding
	star := false
	for len(rest) > 0 {
		var item []byte
		item, rest, _ = bytes.Cut(rest, []byte{','})
		coding, params, _ := bytes.Cut(item, []byte{';'})
		coding = bytes.Trim(coding, " \t")
		switch {
		case is(coding, "gzip"), is(coding, "x-gzip"):
			return !zeroWeight(params)
		case string(coding) == "*":
			star = !zeroWeight(params)
		}
	}
	return star
}

// zeroWeight recognises q=0, q=0. and q=0.000.
func zeroWeight(params []byte) bool {
	name, value, _ := bytes.Cut(bytes.Trim(params, " \t"), []byte{'='})
	return is(name, "q") && len(value) > 0 && value[0] == '0' && len(bytes.Trim(value, "0.")) == 0
}

// matches tells whether If-None-Match names the entity tag, by the weak
// comparison of RFC 9110: W/ in front counts for nothing.
func (f *fields) matches(etag string) bool {
	rest := f.ifNoneMatch
	if string(rest) == "*" {
		return true
	}
	etag = trimWeak(etag)
	for len(rest) > 0 {
		var item []byte
		item, rest, _ = bytes.Cut(rest, []byte{','})
		item = bytes.TrimPrefix(bytes.Trim(item, " \t"), []byte("W/"))
		if len(item) > 0 && string(item) == etag {
			return true
		}
	}
	return false
}

func trimWeak(etag string) string {
	if len(etag) > 2 && etag[:2] == "W/" {
		return etag[2:]
	}
	return etag
}
