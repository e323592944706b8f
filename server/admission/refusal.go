package admission

import (
	"bytes"
	"fmt"
	"net/http"
)

// Reason is why a request is refused before it is parsed.
type Reason uint8

// The reasons.
const (
	Overloaded Reason = iota // 503
	TooMany                  // 429
	reasons
)

var (
	reasonStatus = [reasons]int{Overloaded: http.StatusServiceUnavailable, TooMany: http.StatusTooManyRequests}
	statusLines  = func() (lines [reasons]string) {
		for r, status := range reasonStatus {
			lines[r] = fmt.Sprintf("HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
		}
		return lines
	}()
)

// Language of a refusal.
type Language uint8

// The languages. The first is what people get who ask for none of them.
const (
	English Language = iota
	Korean
	languages
)

var languageTags = [languages]string{English: "en", Korean: "ko"}

// Bodies are the problem documents (RFC 9457) of all refusals. The words are
// the server's.
type Bodies [reasons][languages][]byte

// Refusals are complete HTTP/1.1 responses, made in advance: one for every
// reason, language, time to come back and end of the connection. Safe for
// concurrent use.
type Refusals struct {
	made [reasons][languages][2][retryMax]response // the last index is seconds-1
}

// response is what follows the Date line.
type response struct {
	all    []byte
	header int // bytes of it before the body
}

// retryMax is the longest time to come back, in seconds.
const retryMax = 2 * spreadMax

// NewRefusals prepares the answers. No body may be empty.
func NewRefusals(bodies Bodies) (*Refusals, error) {
	r := new(Refusals)
	for reason := range reasons {
		for language := range languages {
			body := bodies[reason][language]
			if len(body) == 0 {
				return nil, fmt.Errorf("admission: no body for status %d in %q", reasonStatus[reason], languageTags[language])
			}
			for i := range retryMax {
				made := &r.made[reason][language]
				made[0][i] = makeResponse(body, language, i+1, "")
				made[1][i] = makeResponse(body, language, i+1, "Connection: close\r\n")
			}
		}
	}
	return r, nil
}

func makeResponse(body []byte, l Language, seconds int, end string) response {
	b := fmt.Appendf(nil, "Content-Type: application/problem+json\r\n"+
		"Content-Language: %s\r\n"+
		"Content-Length: %d\r\n"+
		"Cache-Control: no-store\r\n"+
		"Vary: Accept-Language\r\n"+
		"X-Content-Type-Options: nosniff\r\n"+
		"Retry-After: %d\r\n"+
		"%s\r\n", languageTags[l], len(body), seconds, end)
	header := len(b)
	return response{all: append(b, body...), header: header}
}

// Answer says which refusal is sent.
type Answer struct {
	Reason Reason
	After  int    // least seconds until it is worth asking again
	Spread int    // seconds over which those refused are to come back (Gate.Spread)
	Turn   uint64 // spreads them: a counter of the loop
	Close  bool   // ends the connection
}

// Append appends the response to the request that begins with head, in the
// language that it asks for. date is a whole line, "Date: …\r\n": RFC 9110
// wants one with a 429. To HEAD goes no body.
func (r *Refusals) Append(dst []byte, a Answer, head, date []byte) []byte {
	end := 0
	if a.Close {
		end = 1
	}
	after := max(a.After, 1) + int(a.Turn%uint64(max(a.Spread, 1)))
	reason := min(a.Reason, reasons-1)
	made := &r.made[reason][languageOf(head)][end][min(after, retryMax)-1]

	dst = append(dst, statusLines[reason]...)
	dst = append(dst, date...)
	if len(head) > 5 && string(head[:5]) == "HEAD " {
		return append(dst, made.all[:made.header]...)
	}
	return append(dst, made.all...)
}

// languageOf picks the first language of Accept-Language that there is. It
// does not weigh: browsers name the best first, and this is read for every
// refusal.
func languageOf(head []byte) Language {
	list := field(head, acceptLanguage)
	for len(list) >= 2 {
		if len(list) == 2 || !isLetter(list[2]) {
			switch {
			case isName(list, "ko"):
				return Korean
			case isName(list, "en"):
				return English
			}
		}
		comma := bytes.IndexByte(list, ',')
		if comma < 0 {
			break
		}
		list = bytes.TrimLeft(list[comma+1:], " \t")
	}
	return English
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
