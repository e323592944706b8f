package server

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestUnusualButGood are requests that look odd and are right all the same.
func TestUnusualButGood(t *testing.T) {
	s := newStand(t, nil)
	replace := s.credentials()
	again := func(lines ...string) string { return booking(goodBody, lines...) }
	for name, raw := range map[string]string{
		"absolute form":           head("GET http://a:80/v1/campaigns HTTP/1.1"),
		"absolute form, no path":  head("GET http://a HTTP/1.1"),
		"encoded letters":         head("GET /v1/c%61mpaigns/sm%61ll HTTP/1.1"),
		"empty query":             head("GET /v1/campaigns? HTTP/1.1"),
		"query nobody reads":      head("GET /?utm_source=paper HTTP/1.1"),
		"HTTP/1.0":                "GET /v1/campaigns HTTP/1.0\r\n\r\n",
		"empty line before":       "\r\n" + head(getRequest),
		"empty header":            head(getRequest, "X-A:"),
		"length zero":             head(getRequest, "Content-Length: 0"),
		"spaces around a value":   head(getRequest, "Accept-Language: \t ko \t"),
		"names in small letters":  strings.Replace(again("content-type: application/json"), authPass, "authorization: bearer {PASS}", 1),
		"scheme in capitals":      strings.Replace(again(asJSON), "Bearer", "BEARER", 1),
		"charset":                 again(asJSON + "; charset=utf-8"),
		"media type in capitals":  again("Content-Type: APPLICATION/JSON"),
		"key of 255":              again(asJSON, "Idempotency-Key: "+strings.Repeat("k", 255)),
		"100-continue":            again(asJSON, "Expect: 100-continue"),
		"chunked":                 head(bookLine, authPass, asJSON, chunkedTE) + "8\r\n{\"slot\":\r\n1c\r\n\"a/2021-07-22/09:00/moderna\"\r\n1;x=y\r\n}\r\n0\r\n\r\n",
		"white space in the body": strings.Replace(again(asJSON), length(goodBody), "Content-Length: 41", 1) + " \r\n ",
		"escapes in the body":     booking(`{"\u0073lot":"a\/2021-07-22\/09:00\/moderna"}`, asJSON),
		"plus in the query":       head("GET " + small + "/sites?region=KR+11 HTTP/1.1"),
	} {
		conn := dial(t, s.public)
		send(t, conn, strings.Replace(replace.Replace(raw), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		all, err := io.ReadAll(conn)
		must(t, err)
		must(t, conn.Close())
		all = bytes.TrimPrefix(all, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), nil)
		if err != nil || res.StatusCode != 200 && res.StatusCode != 201 {
			t.Errorf("%s: %v %s", name, err, all)
		}
	}
}

// TestPipelining sends three requests at once: three answers come, in order.
func TestPipelining(t *testing.T) {
	s := newStand(t, nil)
	conn := dial(t, s.public)
	send(t, conn, head(getRequest)+head("GET /nothing HTTP/1.1")+head(getRequest, "Connection: close"))
	from := bufio.NewReader(conn)
	for i, want := range []int{200, 404, 200} {
		res, err := http.ReadResponse(from, nil)
		must(t, err)
		if a := readAnswer(t, res); a.status != want {
			t.Fatalf("answer %d: %d %s", i, a.status, a.body)
		}
	}
}
