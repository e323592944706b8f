package main

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"weir/server/keys"
)

// TestKeysRotate: a new key signs from its start on, and the command says what
// to do.
func TestKeysRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "weir.keys")
	if _, err := keys.Open(dir); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour).Format(time.RFC3339)
	for _, step := range []struct {
		args   []string
		signer uint32
		words  []string
	}{
		{nil, 2, []string{"key 2 is in " + dir, "SIGHUP to the running server: "}},
		{[]string{"--starts", later}, 2, []string{"key 3 is in " + dir, later, "SIGHUP to the running server at that time or later: "}},
		{[]string{"--starts", "2021-07-19T03:00:00+09:00"}, 2, []string{"key 4 is in " + dir, "2021-07-19T03:00:00+09:00", "server: "}},
	} {
		weir(t, append([]string{"keys", "rotate", "--keys-dir", dir}, step.args...)...).want(t, exitDone, step.words...)
		k, err := keys.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Ring.Signer(); got != step.signer {
			t.Errorf("%v: key %d signs, want %d", step.args, got, step.signer)
		}
	}
	weir(t, "keys", "rotate", "--keys-dir", filepath.Join(dir, "none")).want(t, exitWrong, "--keys-dir")
}

// TestRotatedKeysAreTakenUp by a running server: with the old key's file gone,
// what it signed is refused, and everybody gets a new ticket and pass.
func TestRotatedKeysAreTakenUp(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", smallFile)
	base, person := small(server), s.identityOf("person-1")
	_, place := s.ask("POST", base+"/line", person, "")
	ticket, pass := place["ticket"].(string), place["pass"].(string)

	dir := filepath.Join(s.dir, "weir.keys")
	weir(t, "keys", "rotate", "--keys-dir", dir).want(t, exitDone)
	if err := os.Remove(filepath.Join(dir, "token-1.key")); err != nil {
		t.Fatal(err)
	}
	if status, _ := s.ask("GET", base+"/line/me", ticket, ""); status != http.StatusOK {
		t.Errorf("before SIGHUP the old ticket gets %d", status)
	}
	if err := syscall.Kill(server.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, server, "the retired key's end", func() bool {
		status, _ := s.ask("GET", base+"/line/me", ticket, "")
		return status == http.StatusUnauthorized
	})
	const slot = `{"slot":"s1/2099-01-05/09:00/a"}`
	if status, _ := s.ask("POST", base+"/bookings", pass, slot); status != http.StatusUnauthorized {
		t.Errorf("the old pass gets %d", status)
	}
	_, again := s.ask("POST", base+"/line", person, "")
	if again["number"] != place["number"] {
		t.Errorf("number %v became %v", place["number"], again["number"])
	}
	if status, booking := s.ask("POST", base+"/bookings", again["pass"].(string), slot); status != http.StatusCreated {
		t.Errorf("the new pass gets %d %v", status, booking)
	}
	s.stop(server)
}
