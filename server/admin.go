package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http/pprof"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"github.com/valyala/fasthttp/pprofhandler"
)

// The admin listener. /livez, /readyz and /metrics are for the machines that
// watch this one and need no token; whatever else there is does.

const (
	adminTokenMin     = 16      // bytes
	adminTokenFileMax = 4 << 10 // bytes
	adminTokenOthers  = 0o077   // mode bits that a secret's file must not have
)

// ReadAdminToken reads the bearer token of the admin listener from a file:
// its one line, without the white space around it, of at least 16 visible
// ASCII characters. A file that others than its owner may read is refused.
func ReadAdminToken(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("admin token: %w", err)
	}
	if info.Mode().Perm()&adminTokenOthers != 0 {
		return nil, fmt.Errorf("admin token: others may read %s (mode %04o): type chmod 600 %s", path, info.Mode().Perm(), path)
	}
	if info.Size() > adminTokenFileMax {
		return nil, fmt.Errorf("admin token: %s has %d bytes; it holds one line", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("admin token: %w", err)
	}
	text = bytes.TrimSpace(text)
	if err := checkAdminToken(text); err != nil {
		return nil, fmt.Errorf("admin token: %s: %w", path, err)
	}
	return text, nil
}

func checkAdminToken(tok []byte) error {
	if len(tok) < adminTokenMin {
		return fmt.Errorf("the token has %d characters, it needs %d at least", len(tok), adminTokenMin)
	}
	for _, c := range tok {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("the token has characters that are not visible ASCII")
		}
	}
	return nil
}

// serveAdmin answers one request of the admin listener.
func (s *Server) serveAdmin(ctx *fasthttp.RequestCtx) {
	l := english
	defer func() {
		if cause := recover(); cause != nil {
			s.metrics.panics.Inc()
			s.logPanic(cause)
			ctx.Response.Reset()
			writeProblem(ctx, faultInternal, l)
		}
	}()
	var f fields
	if err := f.read(ctx.Request.Header.RawHeaders()); err != nil {
		writeProblem(ctx, faultRequest, l)
		return
	}
	l = s.language.match(f.acceptLanguage)
	path := string(ctx.Path())
	switch path {
	case "/livez", "/readyz", "/metrics":
		if !ctx.IsGet() && !ctx.IsHead() {
			writeProblem(ctx, faultMethod, l)
			ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
			return
		}
		s.answerWatcher(ctx, path)
		return
	}
	if !s.isOperator(&f) {
		writeProblem(ctx, faultIdentity, l)
		return
	}
	switch {
	case strings.HasPrefix(path, operatorPrefix):
		s.operate(ctx, l)
	case !strings.HasPrefix(path, profiles):
		writeProblem(ctx, faultNotFound, l)
	case path == profiles:
		profileIndex(ctx)
	default:
		pprofhandler.PprofHandler(ctx)
	}
}

const profiles = "/debug/pprof/"

// profileIndex lists the profiles; the library's handler has no page for it.
var profileIndex = fasthttpadaptor.NewFastHTTPHandlerFunc(pprof.Index)

// isOperator compares hashes, so that the time it takes says nothing about the
// token. Without a configured token nobody is the operator.
func (s *Server) isOperator(f *fields) bool {
	tok, ok := bearer(f)
	if !ok || !s.hasAdminToken {
		return false
	}
	sum := sha256.Sum256(tok)
	return subtle.ConstantTimeCompare(sum[:], s.adminToken[:]) == 1
}

func (s *Server) answerWatcher(ctx *fasthttp.RequestCtx, path string) {
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	switch path {
	case "/metrics":
		s.answerMetrics(ctx)
	case "/livez":
		ctx.SetContentType(jsonType)
		ctx.SetBodyString(`{"status":"alive"}`)
	case "/readyz":
		s.answerReady(ctx)
	}
}

// answerReady says whether public requests are served, and if not, why; and
// what its watchers should know of a server that is not in earnest.
func (s *Server) answerReady(ctx *fasthttp.RequestCtx) {
	n := s.stage.now.Load()
	ctx.SetContentType(jsonType)
	body := append([]byte(`{"ready":`), fmt.Sprint(n.ready)...)
	body = append(body, `,"stage":`...)
	body = appendString(body, n.name)
	if !n.ready {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		setRetryAfter(&ctx.Response.Header, n.left())
		if n.eta > 0 {
			body = fmt.Appendf(body, `,"eta_seconds":%d`, int(n.left().Seconds()))
		}
	}
	if s.notice != "" {
		body = append(body, `,"notice":`...)
		body = appendString(body, s.notice)
	}
	ctx.SetBody(append(body, '}'))
}
