package admission

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"
)

func testBodies() (b Bodies) {
	for reason := range reasons {
		for language := range languages {
			b[reason][language] = []byte(`{"status":` + strconv.Itoa(reasonStatus[reason]) + `,"title":"` + languageTags[language] + `"}`)
		}
	}
	return b
}

func testRefusals(t testing.TB) *Refusals {
	r, err := NewRefusals(testBodies())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const testDate = "Date: Mon, 19 Jul 2021 11:00:00 GMT\r\n"

// TestRefusalsAreWholeResponses reads every one of them with another library.
func TestRefusalsAreWholeResponses(t *testing.T) {
	r := testRefusals(t)
	bodies := testBodies()
	for reason := range reasons {
		for language := range languages {
			for _, method := range []string{"GET", "HEAD"} {
				head := []byte(method + " / HTTP/1.1\r\nAccept-Language: " + languageTags[language] + "\r\n\r\n")
				for turn := range uint64(retryMax) {
					a := Answer{Reason: reason, Turn: turn, Spread: retryMax, Close: turn%2 == 1}
					raw := r.Append(nil, a, head, []byte(testDate))
					checkResponse(t, raw, method, a, bodies[reason][language], languageTags[language])
				}
			}
		}
	}
}

func checkResponse(t *testing.T, raw []byte, method string, a Answer, body []byte, tag string) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(raw))
	got, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	text, err := io.ReadAll(got.Body)
	_ = got.Body.Close() // a buffer
	if err != nil || in.Buffered() > 0 {
		t.Fatalf("%v, and %d bytes too many: %q", err, in.Buffered(), raw)
	}
	if method == "HEAD" {
		body = nil
	}
	if got.StatusCode != reasonStatus[a.Reason] || !bytes.Equal(text, body) || got.Close != a.Close {
		t.Errorf("%+v: status %d, close %v, body %q", a, got.StatusCode, got.Close, text)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "Content-Language": tag, "Cache-Control": "no-store",
		"Vary": "Accept-Language", "X-Content-Type-Options": "nosniff",
		"Date": "Mon, 19 Jul 2021 11:00:00 GMT", "Retry-After": strconv.Itoa(int(a.Turn) + 1),
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%+v: %s is %q, not %q", a, name, got.Header.Get(name), want)
		}
	}
}

// TestRefusedComeBackEvenly: in one round every second of the spread is given
// once, and never more than the longest.
func TestRefusedComeBackEvenly(t *testing.T) {
	r := testRefusals(t)
	seen := map[string]int{}
	for turn := range uint64(30) {
		raw := r.Append(nil, Answer{After: 2, Spread: 10, Turn: turn}, nil, nil)
		got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[got.Header.Get("Retry-After")]++
	}
	for s := 2; s < 12; s++ {
		if seen[strconv.Itoa(s)] != 3 {
			t.Errorf("%d s was given %d times of 30: %v", s, seen[strconv.Itoa(s)], seen)
		}
	}
	for _, a := range []Answer{{}, {After: -5, Spread: -5}, {After: 1e6, Spread: 1e6, Turn: 1<<64 - 1}, {Reason: 200}} {
		if len(r.Append(nil, a, nil, nil)) == 0 {
			t.Errorf("no answer for %+v", a)
		}
	}
}

func TestLanguageOfARefusal(t *testing.T) {
	for header, want := range map[string]Language{
		"":                        English,
		"Accept-Language: ko\r\n": Korean,
		"accept-language:ko-KR,ko;q=0.9,en;q=0.8": Korean,
		"ACCEPT-LANGUAGE: KO\r\n":                 Korean,
		"Accept-Language: en-US,ko;q=0.9\r\n":     English,
		"Accept-Language: ja, ko;q=0.5\r\n":       Korean,
		"Accept-Language: kok\r\n":                English, // Konkani
		"Accept-Language: ,,,\r\n":                English,
		"Accept-Languages: ko\r\n":                English,
		"X: y\r\n\r\nAccept-Language: ko\r\n":     English, // a body
	} {
		if got := languageOf([]byte("GET / HTTP/1.1\r\n" + header)); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestRefusalsWantEveryBody(t *testing.T) {
	bodies := testBodies()
	bodies[TooMany][Korean] = nil
	if _, err := NewRefusals(bodies); err == nil {
		t.Error("a body is missing and nobody noticed")
	}
}
