package identity

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// provider stands in for an issuer's HTTP server. It answers with body, or
// fails, or never answers.
type provider struct {
	mu     sync.Mutex
	body   []byte        // under mu
	status int           // under mu; 0: 200
	fail   error         // under mu
	hang   bool          // under mu
	took   time.Duration // under mu: how long the last request that hung was waited for
	reads  int           // under mu
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	if p.hang {
		began := time.Now()
		<-r.Context().Done()
		p.took = time.Since(began)
		return nil, r.Context().Err()
	}
	if p.fail != nil {
		return nil, p.fail
	}
	status := p.status
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(p.body)), Request: r,
	}, nil
}

func (p *provider) set(change func(*provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads
}

func openRemote(t *testing.T, p *provider, report func(string, error)) *Verifier {
	t.Helper()
	v, err := Open(Config{
		Issuers:   []Issuer{{Name: testIssuer, Audience: testAudience, JWKSURL: "https://id.example/keys"}},
		Transport: p, Report: report,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestKeysComeLaterWhereTheIssuerIsDown(t *testing.T) {
	s := signers()
	tok := sign(t, jwt.SigningMethodES256, s.ec, "k", goodClaims())
	keys := jwksOf(t, jwkOf(t, s.ec, "k"))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{fail: errors.New("connection refused")}
		var reported []error
		v := openRemote(t, p, func(_ string, err error) { reported = append(reported, err) })
		defer v.Close()
		if err := v.Ready(); err == nil || !strings.Contains(err.Error(), testIssuer) {
			t.Errorf("ready without keys: %v", err)
		}
		if _, err := v.Verify(tok, testNow); !errors.Is(err, errKey) {
			t.Errorf("verify without keys: %v", err)
		}
		p.set(func(p *provider) { p.fail, p.body = nil, keys })
		time.Sleep(refreshRetry)
		synctest.Wait()
		if _, err := v.Verify(tok, testNow); err != nil || v.Ready() != nil {
			t.Errorf("after the retry: %v, ready %v", err, v.Ready())
		}
		if len(reported) != 2 || reported[0] == nil || reported[1] != nil {
			t.Errorf("reported %v, want a failure and a success", reported)
		}
	})
}

func TestTheLastGoodKeysStay(t *testing.T) {
	s := signers()
	tok := sign(t, jwt.SigningMethodES256, s.ec, "k", goodClaims())
	keys := jwksOf(t, jwkOf(t, s.ec, "k"))
	for name, spoil := range map[string]func(*provider){
		"no connection":   func(p *provider) { p.fail = errors.New("connection refused") },
		"no answer":       func(p *provider) { p.hang = true },
		"an error":        func(p *provider) { p.status = http.StatusBadGateway },
		"not a JWKS":      func(p *provider) { p.body = []byte("<html>") },
		"no keys":         func(p *provider) { p.body = []byte(`{"keys":[]}`) },
		"too many bytes":  func(p *provider) { p.body = append(bytes.Repeat([]byte{' '}, maxKeySetSize), keys...) },
		"a redirect back": func(p *provider) { p.status = http.StatusFound },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{body: keys}
				var last error
				v := openRemote(t, p, func(_ string, err error) { last = err })
				defer v.Close()
				p.set(spoil)
				time.Sleep(refreshEvery + refreshDeadline)
				synctest.Wait()
				if _, err := v.Verify(tok, testNow); err != nil || v.Ready() != nil {
					t.Errorf("after a failed read: %v, ready %v", err, v.Ready())
				}
				if p.count() != 2 || last == nil {
					t.Errorf("%d reads, the last reported as %v; want 2 and a failure", p.count(), last)
				}
				if p.hang && p.took != refreshDeadline {
					t.Errorf("waited %v for an answer, want %v", p.took, refreshDeadline)
				}
			})
		})
	}
}

func TestAnUnknownKeyIsLookedForSoonAndNotTooOften(t *testing.T) {
	s := signers()
	old, next := jwksOf(t, jwkOf(t, s.ec, "old")), jwksOf(t, jwkOf(t, s.ec, "old"), jwkOf(t, s.ec2, "next"))
	tok := sign(t, jwt.SigningMethodES256, s.ec2, "next", goodClaims())
	made := sign(t, jwt.SigningMethodES256, s.ec2, "made up", goodClaims())
	synctest.Test(t, func(t *testing.T) {
		p := &provider{body: old}
		v := openRemote(t, p, nil)
		defer v.Close()
		time.Sleep(refreshPause)
		synctest.Wait()

		p.set(func(p *provider) { p.body = next })
		if _, err := v.Verify(tok, testNow); !errors.Is(err, errKey) {
			t.Fatalf("before the keys were read again: %v", err)
		}
		synctest.Wait()
		if _, err := v.Verify(tok, testNow); err != nil {
			t.Errorf("after: %v", err)
		}
		before := p.count()
		for range 600 { // ten a second
			if _, err := v.Verify(made, testNow); !errors.Is(err, errKey) {
				t.Fatalf("a key that nobody has: %v", err)
			}
			time.Sleep(time.Second / 10)
		}
		if got, most := p.count()-before, int(time.Minute/refreshPause); got > most || got < most-1 {
			t.Errorf("%d reads in a minute of made-up keys, want %d", got, most)
		}
	})
}

func TestAnUnknownAlgorithmIsNotLookedFor(t *testing.T) {
	s := signers()
	tok := sign(t, jwt.SigningMethodRS256, s.rsa, "k", goodClaims())
	keys := jwksOf(t, jwkOf(t, s.ec, "k"))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{body: keys}
		v := openRemote(t, p, nil)
		defer v.Close()
		if _, err := v.Verify(tok, testNow); !errors.Is(err, errAlgorithm) {
			t.Errorf("%v, want %v", err, errAlgorithm)
		}
		time.Sleep(refreshEvery - 1)
		if got := p.count(); got != 1 {
			t.Errorf("%d reads, want the first alone", got)
		}
	})
}

func TestCloseDoesNotWaitForTheIssuer(t *testing.T) {
	keys := jwksOf(t, jwkOf(t, signers().ec, "k"))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{body: keys}
		v := openRemote(t, p, nil)
		p.set(func(p *provider) { p.hang = true })
		time.Sleep(refreshEvery + 1)
		synctest.Wait()
		began := time.Now()
		v.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("close took %v", took)
		}
		v.Close() // again does no harm
	})
}

func TestAJWKSFileIsReadAgain(t *testing.T) {
	s := signers()
	is := jwksIssuer(t, jwkOf(t, s.ec, "old"))
	tok := sign(t, jwt.SigningMethodES256, s.ec2, "next", goodClaims())
	next := jwksOf(t, jwkOf(t, s.ec2, "next"))
	synctest.Test(t, func(t *testing.T) {
		v, err := Open(Config{Issuers: []Issuer{is}})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if err := os.WriteFile(is.JWKSFile, next, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(refreshEvery)
		synctest.Wait()
		if _, err := v.Verify(tok, testNow); err != nil {
			t.Errorf("under the new file's key: %v", err)
		}
	})
}

func TestFetchOverHTTP(t *testing.T) {
	keys := jwksOf(t, jwkOf(t, signers().ec, "k"))
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	plain := httptest.NewServer(mux)
	defer plain.Close()
	down := http.NewServeMux()
	down.HandleFunc("/down", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+"/keys", http.StatusFound)
	})
	secure := httptest.NewUnstartedServer(down)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it is refused below, on purpose
	secure.StartTLS()
	defer secure.Close()

	for name, test := range map[string]struct {
		address   string
		transport http.RoundTripper
		want      string // of the error; "": none
	}{
		"directly":           {plain.URL + "/keys", nil, ""},
		"by a redirect":      {plain.URL + "/moved", nil, ""},
		"in circles":         {plain.URL + "/round", nil, "redirects"},
		"not there":          {plain.URL + "/nothing", nil, "404"},
		"from https to http": {secure.URL + "/down", secure.Client().Transport, "https to http"},
		"an unknown issuer":  {secure.URL + "/down", nil, "certificate"},
	} {
		got, err := urlReader(test.address, test.transport)(t.Context())
		if test.want == "" && (err != nil || !bytes.Equal(got, keys)) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
	}
	secure.Client().CloseIdleConnections()
}
