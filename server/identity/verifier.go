package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Leeways on nbf and iat, for an issuer whose clock runs ahead.
const (
	DefaultLeeway = 5 * time.Second
	MaxLeeway     = time.Minute
)

// Config says whose tokens are believed.
type Config struct {
	Issuers []Issuer
	// Leeway on nbf and iat, up to MaxLeeway; 0 means DefaultLeeway. There is
	// none on exp: a token is good for not one moment longer than it says.
	Leeway time.Duration
	// Report is told how each read of a JWKS went, the first one (inside Open)
	// included; err is nil where it went well. It is called by whichever
	// goroutine reads, so for several issuers at once, and must not block.
	// May be nil.
	Report func(issuer string, err error)
	// Transport fetches the JWKS of URLs; nil means one of the verifier's own.
	Transport http.RoundTripper
}

// Issuer is one issuer of identity tokens. Exactly one of the last three is
// given.
type Issuer struct {
	Name      string // the exact "iss"
	Audience  string // must be among "aud"
	HS256File string // path of a secret; see ReadSecret
	JWKSFile  string // path of a JWKS
	JWKSURL   string // http or https address of a JWKS
}

// Verifier checks identity tokens. It is safe for concurrent use.
//
//  1. A token is taken apart once (parse.go); its "iss" finds the issuer.
//  2. The issuer's key by "kid" brings the one algorithm that it is good for.
//  3. Signature first, then the claims: nothing is said about the claims of a
//     token that is not the issuer's.
//
// The keys of a JWKS are read again in the background (refresher), by one
// goroutine for each, which Close ends. While reading fails, the last good
// keys stay.
//
// The signatures are golang-jwt's to verify; taking a token apart is not, as
// its general parser took 5 of the 7 µs of an HS256 token. A cache of tokens
// that passed was weighed and left out: whoever has joined goes on with a
// ticket, so most identity tokens are seen once or twice, minutes apart.
type Verifier struct {
	issuers    map[string]*issuer // never changes
	leeway     time.Duration
	stop       context.CancelFunc
	refreshers []*refresher
}

type issuer struct {
	name, audience string
	keys           keySource
}

// keySource is where an issuer's keys come from.
type keySource interface {
	// load returns the keys of the moment, never nil. It does not block.
	load() *keySet
	// missing says that a token named a key that is not there.
	missing()
}

// fixedKeys never change.
type fixedKeys struct{ set *keySet }

func (f fixedKeys) load() *keySet { return f.set }
func (f fixedKeys) missing()      {}

// Open reads the keys of every issuer in cfg and starts to keep them fresh. A
// file that cannot be used is an error. A URL that cannot be read just now is
// none, as a server that comes back while an identity service is down must
// still honour the passes that it gave out: Ready tells, and reading goes on.
func Open(cfg Config) (*Verifier, error) {
	leeway, err := cfg.leeway()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	v := &Verifier{
		issuers: make(map[string]*issuer, len(cfg.Issuers)),
		leeway:  leeway,
		stop:    stop,
	}
	for i := range cfg.Issuers {
		if err := v.add(ctx, &cfg, &cfg.Issuers[i]); err != nil {
			v.Close()
			return nil, fmt.Errorf("identity issuer %q: %w", cfg.Issuers[i].Name, err)
		}
	}
	return v, nil
}

func (cfg *Config) leeway() (time.Duration, error) {
	if cfg.Leeway < 0 || cfg.Leeway > MaxLeeway {
		return 0, fmt.Errorf("identity: leeway %v, it must be 0 to %v", cfg.Leeway, MaxLeeway)
	}
	if cfg.Leeway == 0 {
		return DefaultLeeway, nil
	}
	return cfg.Leeway, nil
}

func (v *Verifier) add(ctx context.Context, cfg *Config, is *Issuer) error {
	if is.Name == "" || is.Audience == "" {
		return errors.New("both the issuer's name and the audience must be given")
	}
	if v.issuers[is.Name] != nil {
		return errors.New("it is there twice")
	}
	if given(is.HS256File)+given(is.JWKSFile)+given(is.JWKSURL) != 1 {
		return errors.New("it needs one of an HS256 secret file, a JWKS file and a JWKS URL")
	}
	source, err := v.source(ctx, cfg, is)
	if err != nil {
		return err
	}
	v.issuers[is.Name] = &issuer{name: is.Name, audience: is.Audience, keys: source}
	return nil
}

func given(setting string) int {
	if setting == "" {
		return 0
	}
	return 1
}

func (v *Verifier) source(ctx context.Context, cfg *Config, is *Issuer) (keySource, error) {
	if is.HS256File != "" {
		set, err := readSecretKeys(is.HS256File)
		if err != nil {
			return nil, err
		}
		return fixedKeys{set}, nil
	}
	r, err := startRefresher(ctx, is, cfg.Transport, cfg.Report)
	if err != nil {
		return nil, err
	}
	v.refreshers = append(v.refreshers, r)
	return r, nil
}

// Close ends the reading in the background and waits until it has ended. Keys
// stay as they are: Verify still works.
func (v *Verifier) Close() {
	v.stop()
	for _, r := range v.refreshers {
		<-r.done
	}
}

// Ready returns nil where every issuer has keys, and otherwise an error that
// names those that have none.
func (v *Verifier) Ready() error {
	var errs []error
	for name, is := range v.issuers {
		if len(is.keys.load().keys) == 0 {
			errs = append(errs, fmt.Errorf("identity issuer %q: no keys yet", name))
		}
	}
	return errors.Join(errs...)
}

// Verify checks tok at the time now and returns its claims. The error is
// ErrExpired where all but the time is right, and else wraps ErrRefused; its
// text is for the operator and never for the client. Verify does not block and
// keeps nothing of tok.
func (v *Verifier) Verify(tok []byte, now time.Time) (Claims, error) {
	if len(tok) > MaxToken {
		return Claims{}, errSize
	}
	w := workspaces.Get().(*workspace)
	defer func() {
		w.message = message{} // it points into tok
		workspaces.Put(w)
	}()
	if !w.parse(tok) {
		return Claims{}, errMalformed
	}
	is := v.issuers[string(w.issuer)]
	if is == nil {
		return Claims{}, errIssuer
	}
	key, err := is.keyFor(&w.message)
	if err != nil {
		return Claims{}, err
	}
	if !key.verify(w.signed, w.signature) {
		return Claims{}, errSignature
	}
	return w.check(is, now, v.leeway)
}

// keyFor finds the key that must have signed m.
func (is *issuer) keyFor(m *message) (*pinnedKey, error) {
	if m.critical {
		return nil, errCritical
	}
	if m.hasKeyID && (len(m.keyID) == 0 || len(m.keyID) > maxKeyID) {
		return nil, errKey
	}
	key, err := is.keys.load().find(m.keyID, m.algorithm)
	if errors.Is(err, errKey) {
		is.keys.missing()
	}
	return key, err
}
