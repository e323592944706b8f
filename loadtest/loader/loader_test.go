//go:build linux

package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
)

// A stopped fasthttp server leaves one goroutine asleep for ten seconds more.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// serveFast starts a fasthttp server on loopback and returns its address.
func serveFast(t testing.TB, handler fasthttp.RequestHandler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: handler, NoDefaultDate: true}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(server.ShutdownWithContext(ctx), <-done); err != nil {
			t.Errorf("stop server: %v", err)
		}
	})
	return listener.Addr().String()
}

// serveRaw starts a server that hands every connection to serve, one after
// the other, and closes it afterwards.
func serveRaw(t *testing.T, serve func(net.Conn) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_ = serve(c) // what the client makes of it is what counts
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// readRequest reads one request without a body.
func readRequest(c net.Conn) error {
	var buf [4096]byte
	for n := 0; !strings.HasSuffix(string(buf[:n]), "\r\n\r\n"); {
		got, err := c.Read(buf[n:])
		if err != nil {
			return err
		}
		n += got
	}
	return nil
}

func get(_ int, dst []byte) []byte {
	return append(dst, "GET / HTTP/1.1\r\nHost: weir\r\n\r\n"...)
}

func post(dst, body []byte) []byte {
	dst = append(dst, "POST /echo HTTP/1.1\r\nHost: weir\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

func TestEveryRequestIsAnswered(t *testing.T) {
	for _, threads := range []int{1, 2} {
		var served atomic.Int64
		addr := serveFast(t, func(ctx *fasthttp.RequestCtx) {
			served.Add(1)
			ctx.SetStatusCode(fasthttp.StatusCreated)
			ctx.SetBody(ctx.PostBody())
		})
		want := make([]string, 7)
		result, err := Run(t.Context(), Options{
			Addr: addr, Connections: len(want), Threads: threads, Requests: 1000,
			Next: func(conn int, dst []byte) []byte {
				want[conn] += "x"
				return post(dst, []byte(want[conn]))
			},
			Check: func(conn, status int, body []byte) error {
				if status != 201 || string(body) != want[conn] {
					return fmt.Errorf("status %d, %d bytes", status, len(body))
				}
				return nil
			},
		})
		if err != nil || result.Errors != 0 {
			t.Fatalf("%v, %d errors: %v", err, result.Errors, result.FirstErrors)
		}
		if result.Requests != 1000 || result.ByStatus[201] != 1000 || served.Load() != 1000 || result.Latency.TotalCount() != 1000 {
			t.Errorf("%d threads: %d answers, by status %v, %d latencies, %d served",
				threads, result.Requests, result.ByStatus, result.Latency.TotalCount(), served.Load())
		}
		if result.Elapsed <= 0 || result.PerSecond() <= 0 || result.ClientCPU <= 0 {
			t.Errorf("elapsed %v, %v/s, client CPU %v", result.Elapsed, result.PerSecond(), result.ClientCPU)
		}
	}
}

func TestDurationEndsTheRun(t *testing.T) {
	addr := serveFast(t, func(*fasthttp.RequestCtx) {})
	result, err := Run(t.Context(), Options{Addr: addr, Connections: 3, Duration: 50 * time.Millisecond, Next: get})
	if err != nil || result.Errors != 0 {
		t.Fatalf("%v, errors %v", err, result.FirstErrors)
	}
	if result.Requests == 0 || result.Elapsed < 50*time.Millisecond || result.Elapsed > 5*time.Second {
		t.Errorf("%d answers in %v", result.Requests, result.Elapsed)
	}
}

func TestNextRetiresAConnection(t *testing.T) {
	addr := serveFast(t, func(*fasthttp.RequestCtx) {})
	sent := make([]int, 4)
	result, err := Run(t.Context(), Options{
		Addr: addr, Connections: len(sent), Duration: time.Minute,
		Next: func(conn int, dst []byte) []byte {
			if sent[conn]++; sent[conn] > conn {
				return dst
			}
			return get(conn, dst)
		},
	})
	if err != nil || result.Requests != 0+1+2+3 {
		t.Errorf("%d answers, %v", result.Requests, err)
	}
}

func TestCheckErrorsAreCountedAndKept(t *testing.T) {
	addr := serveFast(t, func(*fasthttp.RequestCtx) {})
	wrong := errors.New("not what was asked")
	result, err := Run(t.Context(), Options{
		Addr: addr, Connections: 2, Requests: 20, Next: get,
		Check: func(int, int, []byte) error { return wrong },
	})
	if err != nil || result.Requests != 20 || result.Errors != 20 {
		t.Fatalf("%d answers, %d errors, %v", result.Requests, result.Errors, err)
	}
	if len(result.FirstErrors) != firstErrorsMax || !errors.Is(result.FirstErrors[0], wrong) {
		t.Errorf("first errors %v", result.FirstErrors)
	}
}

func TestAnswersThatComeInPieces(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
	addr := serveRaw(t, func(c net.Conn) error {
		for {
			if err := readRequest(c); err != nil {
				return err
			}
			for i := range len(answer) { // TCP_NODELAY is Go's default: a packet each
				if _, err := c.Write([]byte(answer[i : i+1])); err != nil {
					return err
				}
			}
		}
	})
	result, err := Run(t.Context(), Options{
		Addr: addr, Requests: 20, Next: get,
		Check: func(_, _ int, body []byte) error {
			if string(body) != "hello" {
				return fmt.Errorf("body %q", body)
			}
			return nil
		},
	})
	if err != nil || result.Errors != 0 || result.Requests != 20 {
		t.Errorf("%d answers, errors %v, %v", result.Requests, result.FirstErrors, err)
	}
}

func TestLargeRequestsAndAnswers(t *testing.T) {
	addr := serveFast(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.PostBody()) })
	body := []byte(strings.Repeat("0123456789abcdef", 200_000)) // 3.2 MB: more than the sockets take
	result, err := Run(t.Context(), Options{
		Addr: addr, Connections: 2, Requests: 6,
		Next: func(_ int, dst []byte) []byte { return post(dst, body) },
		Check: func(_, _ int, got []byte) error {
			if string(got) != string(body) {
				return fmt.Errorf("%d bytes back", len(got))
			}
			return nil
		},
	})
	if err != nil || result.Errors != 0 || result.Requests != 6 {
		t.Errorf("%d answers, errors %v, %v", result.Requests, result.FirstErrors, err)
	}
}

func TestOddAnswersAreErrors(t *testing.T) {
	odd := map[string]string{
		"closed at once":    "",
		"cut short":         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"bytes behind":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
		"HTTP/1.0":          "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"interim":           "HTTP/1.1 100 Continue\r\n\r\n",
		"no status":         "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
		"status of four":    "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"no length":         "HTTP/1.1 200 OK\r\n\r\n",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"length not digits": "HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
		"length too large":  "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
		"chunked":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"no colon":          "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
		"folded line":       "HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n",
		"endless head":      "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headMax),
	}
	for name, answer := range odd {
		t.Run(name, func(t *testing.T) {
			addr := serveRaw(t, func(c net.Conn) error {
				if err := readRequest(c); err != nil {
					return err
				}
				_, err := io.WriteString(c, answer)
				return err
			})
			result, err := Run(t.Context(), Options{Addr: addr, Requests: 3, Next: get})
			if err != nil || result.Requests != 0 || result.Errors != 3 {
				t.Fatalf("%d answers, %d errors %v, %v", result.Requests, result.Errors, result.FirstErrors, err)
			}
			for _, err := range result.FirstErrors {
				if !errors.Is(err, errOdd) {
					t.Errorf("%v is not an odd answer", err)
				}
			}
		})
	}
}

func TestAnswerBeforeTheRequest(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn) error {
		if _, err := io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return err
		}
		_, err := c.Read(make([]byte, 1))
		return err
	})
	body := make([]byte, 32<<20)
	result, err := Run(t.Context(), Options{
		Addr: addr, Requests: 1, Next: func(_ int, dst []byte) []byte { return post(dst, body) },
	})
	if err != nil || result.Requests != 0 || result.Errors != 1 {
		t.Errorf("%d answers, errors %v, %v", result.Requests, result.FirstErrors, err)
	}
}

func TestConnectionCloseIsFollowed(t *testing.T) {
	var connections atomic.Int64
	addr := serveRaw(t, func(c net.Conn) error {
		connections.Add(1)
		if err := readRequest(c); err != nil {
			return err
		}
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")
		return err
	})
	result, err := Run(t.Context(), Options{Addr: addr, Requests: 5, Next: get})
	if err != nil || result.Errors != 0 || result.Requests != 5 || connections.Load() != 5 {
		t.Errorf("%d answers over %d connections, errors %v, %v", result.Requests, connections.Load(), result.FirstErrors, err)
	}
}

func TestNoBodyWhereNoneMayBe(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn) error {
		if err := readRequest(c); err != nil {
			return err
		}
		_, err := io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		return err
	})
	result, err := Run(t.Context(), Options{Addr: addr, Requests: 2, Next: get})
	if err != nil || result.Errors != 0 || result.ByStatus[204] != 2 {
		t.Errorf("by status %v, errors %v, %v", result.ByStatus, result.FirstErrors, err)
	}
}

func TestSilenceTimesOut(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn) error {
		_, err := io.Copy(io.Discard, c) // until the client gives up
		return err
	})
	result, err := Run(t.Context(), Options{Addr: addr, Requests: 2, Timeout: 30 * time.Millisecond, Next: get})
	if err != nil || result.Requests != 0 || result.Errors != 2 {
		t.Errorf("%d answers, errors %v, %v", result.Requests, result.FirstErrors, err)
	}
}

func TestTooManyErrorsEndTheRun(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn) error { return readRequest(c) })
	_, err := Run(t.Context(), Options{Addr: addr, Connections: 4, Duration: time.Minute, MaxErrors: 10, Next: get})
	if !errors.Is(err, ErrTooManyErrors) {
		t.Errorf("error %v, want %v", err, ErrTooManyErrors)
	}
}

func TestContextEndsTheRun(t *testing.T) {
	addr := serveFast(t, func(*fasthttp.RequestCtx) {})
	ctx, cancel := context.WithCancel(t.Context())
	var answers atomic.Int64
	result, err := Run(ctx, Options{
		Addr: addr, Connections: 2, Duration: time.Minute, Next: get,
		Check: func(int, int, []byte) error {
			if answers.Add(1) == 100 {
				cancel()
			}
			return nil
		},
	})
	if !errors.Is(err, context.Canceled) || result.Requests < 100 {
		t.Errorf("%d answers, error %v", result.Requests, err)
	}
}

func TestRefusedOptions(t *testing.T) {
	good := Options{Addr: "127.0.0.1:1", Requests: 1, Next: get}
	for name, change := range map[string]struct {
		with func(*Options)
		want error
	}{
		"another machine":  {func(o *Options) { o.Addr = "192.0.2.1:80" }, ErrNotLoopback},
		"any address":      {func(o *Options) { o.Addr = "0.0.0.0:80" }, ErrNotLoopback},
		"a name":           {func(o *Options) { o.Addr = "localhost:80" }, errOptions},
		"no port":          {func(o *Options) { o.Addr = "127.0.0.1" }, errOptions},
		"no requests":      {func(o *Options) { o.Next = nil }, errOptions},
		"no end":           {func(o *Options) { o.Requests = 0 }, errOptions},
		"too many sockets": {func(o *Options) { o.Connections = connectionsMax + 1 }, errOptions},
	} {
		o := good
		change.with(&o)
		if _, err := Run(t.Context(), o); !errors.Is(err, change.want) {
			t.Errorf("%s: error %v, want %v", name, err, change.want)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	good.Addr = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), good); err == nil {
		t.Error("nobody listens, but the run succeeds")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 204\r\n\r\n"))
	f.Add([]byte("\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		r, whole, err := parse(buf)
		if err != nil || !whole {
			return
		}
		if r.status < 200 || r.status > 599 || r.size > len(buf) || len(r.body) > r.size {
			t.Errorf("%+v of %d bytes", r, len(buf))
		}
		if _, early, err := parse(buf[:r.size-1]); early || err != nil {
			t.Errorf("whole one byte too early: %v, %v", early, err)
		}
	})
}
