//go:build linux

package process

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const testTimeout = 30 * time.Second

func TestServer(t *testing.T) {
	dir := t.TempDir()
	binary, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--data", filepath.Join(dir, "data"), "--campaign", "sample:kr-2021-50s",
		"--identity-hs256-file", secret, "--identity-issuer", "test", "--identity-audience", "weir",
	}
	t.Run("stops in good order", func(t *testing.T) {
		t.Setenv("WEIR_LISTEN", "no address") // must not reach the server
		s := ready(t, binary, args...)
		answer, err := http.Get("http://" + s.Addr + "/v1/campaigns")
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("status %d, %v", answer.StatusCode, err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		checkCode(t, s, 0)
	})
	t.Run("killed", func(t *testing.T) {
		s := ready(t, binary, args...)
		s.Kill()
		checkCode(t, s, -1)
		if err := s.Stop(); err == nil {
			t.Error("a killed server is said to have stopped in good order")
		}
	})
	t.Run("never ready", func(t *testing.T) {
		s, err := Start(binary, nil, "--data", filepath.Join(dir, "data"), "--journal", "nonsense")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Kill()
		if err := s.Ready(limited(t)); !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("error %v, want %v with what the process said", err, ErrExited)
		}
		checkCode(t, s, 2)
	})
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(filepath.Join(t.TempDir(), "weir"), nil); err == nil {
		t.Error("a binary that is not there was started")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var log tail
	for range 3 {
		if _, err := log.Write([]byte(strings.Repeat("x", tailMax/2))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Write([]byte("the end\n")); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.HasSuffix(got, "xthe end") || len(got) >= tailMax {
		t.Errorf("%d bytes, ends with %q", len(got), got[len(got)-20:])
	}
}

func ready(t *testing.T, binary string, args ...string) *Server {
	t.Helper()
	s, err := Start(binary, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Ready(limited(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func checkCode(t *testing.T, s *Server, want int) {
	t.Helper()
	if code, err := s.Wait(limited(t)); err != nil || code != want {
		t.Errorf("exit code %d, %v, want %d\n%s", code, err, want, s.Log())
	}
}
