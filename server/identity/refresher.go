package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// How often a JWKS is read, and how much is put up with.
const (
	refreshEvery    = 10 * time.Minute // while all is well
	refreshRetry    = 30 * time.Second // after a failure
	refreshPause    = 10 * time.Second // at least, between two reads, whatever unknown keys come in
	refreshDeadline = 10 * time.Second // of one read, all included
	maxKeySetSize   = 256 << 10        // bytes of one JWKS
	maxRedirects    = 3
)

// refresher keeps the keys of one JWKS fresh. Its goroutine reads the keys
// again every refreshEvery, sooner when a token named an unknown key, and
// never twice within refreshPause: tokens with made-up key ids cannot turn the
// server against its issuer. A read that fails changes nothing.
type refresher struct {
	issuer string
	read   func(ctx context.Context) ([]byte, error)
	report func(issuer string, err error) // may be nil
	set    atomic.Pointer[keySet]
	wanted chan struct{} // holds at most one wish for a read
	done   chan struct{} // closed when the goroutine has ended
}

// startRefresher reads the keys of is for the first time and then starts the
// goroutine, which ends with ctx. A file that cannot be used is an error; a
// URL that cannot be read yet is reported and tried again.
func startRefresher(ctx context.Context, is *Issuer, transport http.RoundTripper, report func(string, error)) (*refresher, error) {
	r := &refresher{issuer: is.Name, report: report, wanted: make(chan struct{}, 1), done: make(chan struct{})}
	r.set.Store(new(keySet))
	r.read = fileReader(is.JWKSFile)
	if is.JWKSURL != "" {
		if err := checkURL(is.JWKSURL); err != nil {
			return nil, err
		}
		r.read = urlReader(is.JWKSURL, transport)
	}
	if err := r.refresh(ctx); err != nil && is.JWKSFile != "" {
		return nil, err
	}
	go r.run(ctx)
	return r, nil
}

func (r *refresher) load() *keySet { return r.set.Load() }

func (r *refresher) missing() {
	select {
	case r.wanted <- struct{}{}:
	default: // it is wanted already
	}
}

func (r *refresher) run(ctx context.Context) {
	defer close(r.done)
	wait := refreshEvery
	if len(r.load().keys) == 0 {
		wait = refreshRetry
	}
	for r.sleep(ctx, wait) {
		wait = refreshEvery
		if r.refresh(ctx) != nil {
			wait = refreshRetry
		}
	}
}

// sleep returns true when it is time for the next read, and false when ctx
// has ended.
func (r *refresher) sleep(ctx context.Context, wait time.Duration) bool {
	pause := time.NewTimer(refreshPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	rest := time.NewTimer(wait - refreshPause)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-r.wanted:
	case <-ctx.Done():
		return false
	}
	return true
}

func (r *refresher) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshDeadline)
	defer cancel()
	text, err := r.read(ctx)
	var set *keySet
	if err == nil {
		set, err = parseKeySet(text)
	}
	if err == nil {
		r.set.Store(set)
	}
	if r.report != nil {
		r.report(r.issuer, err)
	}
	return err
}

func checkURL(text string) error {
	address, err := url.Parse(text)
	if err != nil {
		return errors.New("address of the JWKS: not a URL") // it may hold a password: not repeated
	}
	if address.Scheme != "https" && address.Scheme != "http" || address.Host == "" {
		return fmt.Errorf("address of the JWKS %q: it must start with https:// or http://", address.Redacted())
	}
	return nil
}

// urlReader returns a function that fetches the JWKS at address. A redirect
// from https to http is not followed.
func urlReader(address string, transport http.RoundTripper) func(context.Context) ([]byte, error) {
	if transport == nil {
		// One small request every few minutes: a kept connection would only
		// be one more thing to close.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	}
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	return func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, fmt.Errorf("fetch JWKS: %w", err)
		}
		request.Header.Set("Accept", "application/jwk-set+json, application/json")
		response, err := client.Do(request)
		if err != nil {
			return nil, fmt.Errorf("fetch JWKS: %w", err)
		}
		defer func() { _ = response.Body.Close() }() // only read from: closing loses nothing
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("fetch JWKS: %s", response.Status)
		}
		return readBounded(response.Body)
	}
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("a redirect from https to " + next.URL.Scheme)
	}
	return nil
}

func fileReader(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read JWKS: %w", err)
		}
		defer func() { _ = file.Close() }() // only read from: closing loses nothing
		return readBounded(file)
	}
}

func readBounded(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxKeySetSize+1))
	if err != nil {
		return nil, fmt.Errorf("read JWKS: %w", err)
	}
	if len(text) > maxKeySetSize {
		return nil, fmt.Errorf("read JWKS: more than %d bytes", maxKeySetSize)
	}
	return text, nil
}
